import type { ConnectionRef, Departure, TakenWill } from '../store.ts';
import type { Change, Clients } from './mqtt-clients.ts';
import type { Queues } from './mqtt-queues.ts';
import type { WillsInHand } from './mqtt-wills.ts';

export interface DeparturesOptions {
  readonly clients: Clients;
  readonly queues: Queues;
  readonly wills: WillsInHand;
}

interface Departing {
  readonly ref: ConnectionRef;
  readonly departure: Departure;
}

/** Departures tried again by one sweep. */
const retriedPerSweep = 2000;
/** Departures without an answer; the oldest is forgotten past it. */
const unansweredMax = 100_000;

/**
 * Connections that end, and clients that time ends something for. A departure that gets no answer is remembered until it
 * has one: otherwise the client would count as connected for as long as this node lives. The same goes for a `connect`
 * without an answer. Once the client has another connection such a departure changes nothing.
 */
export class Departures {
  readonly #options: DeparturesOptions;
  readonly #unanswered = new Map<string, Departing>(); // by connection, oldest first
  forgotten = 0;

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  /** @returns the will to send now. @throws Unavailable: it is tried again, and the will kept for the next sweep */
  async depart(ref: ConnectionRef, departure: Departure): Promise<TakenWill | undefined> {
    try {
      return await this.#change(ref.clientId, this.#options.clients.disconnect(ref, departure));
    } catch (error) {
      this.remember(ref, departure);
      throw error;
    }
  }

  /** It may count as connected, and is not. */
  remember(ref: ConnectionRef, departure: Departure): void {
    this.#unanswered.set(ref.connection, { ref, departure });
    if (this.#unanswered.size <= unansweredMax) return;
    const [oldest] = this.#unanswered.keys();
    this.#unanswered.delete(oldest!);
    this.forgotten++;
  }

  /** @throws Unavailable */
  async retry(): Promise<void> {
    const departing = [...this.#unanswered.values()].slice(0, retriedPerSweep);
    await Promise.all(departing.map((one) => this.#retry(one)));
  }

  /** Does what time has done to these clients. @throws Unavailable */
  async lapse(clientIds: readonly string[], deadNode: string): Promise<void> {
    const { clients, wills } = this.#options;
    await Promise.all(
      clientIds.map(async (clientId) => wills.keep(await this.#change(clientId, clients.lapse(clientId, deadNode)))),
    );
  }

  /** Removes the queues of sessions that have ended. What fails is listed still, and done by some later sweep. */
  async endQueues(sessionIds: readonly string[]): Promise<void> {
    await Promise.allSettled(sessionIds.map((sessionId) => this.#options.queues.end(sessionId)));
  }

  async #retry(departing: Departing): Promise<void> {
    const { clientId, connection } = departing.ref;
    const { clients, wills } = this.#options;
    wills.keep(await this.#change(clientId, clients.disconnect(departing.ref, departing.departure)));
    this.#unanswered.delete(connection);
  }

  async #change(clientId: string, changing: Promise<Change>): Promise<TakenWill | undefined> {
    const { will, ended } = await changing;
    const taken = this.#options.wills.hand(clientId, will);
    if (ended) await this.endQueues([ended]);
    return taken;
  }
}
