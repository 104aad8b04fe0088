import { setTimeout as wait } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { Backoff } from './backoff.ts';
import type { Ledger } from './ledger.ts';
import { readPayload } from './payload.ts';
import { type PulledMessage, RestError, SubscriptionRest } from './pubsub-rest.ts';
import { Random } from './random.ts';
import { stream } from './streams.ts';

const pullMax = 1000; // messages per request
const pullPauseMs = 25; // after a pull that came back less than half full: fewer, fuller requests
const ackDeadlineSeconds = 10; // Pub/Sub's least; what an outage left leased comes back soonest
const quietMs = 2_000; // after the last awaited message: time for a duplicate to turn up
const deleteMs = 10_000;

/**
 * Reads back, over a subscription of its own, what the devices published, and writes it into the ledger.
 *
 * One loop: pull, note, acknowledge, again. It runs while the devices send, through outages of the server, with a backoff.
 *
 * An acknowledgement is *confirmed* when its one request was answered with success. A request that failed is not tried again:
 * whether it took effect is unknown, a restarted server would call a second one a success without knowing the lease
 * (Pub/Sub ignores late ack ids), and if it did not take effect the messages come again, with new ack ids, by themselves.
 * So a redelivery of a message whose ack was confirmed is always the server's doing.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #ledger: Ledger;
  readonly #rest: SubscriptionRest;
  readonly #backoff: Backoff;
  readonly #end = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #progressMs = 0; // when a message last came that had not come before
  #failure: RestError | undefined;
  /** Deliveries that belong to another run, or to no simulator at all. */
  foreign = 0;
  /** Pulls and acknowledgements that failed and left their messages for later. */
  requestFailures = 0;

  constructor(options: VerifierOptions, ledger: Ledger) {
    this.#options = options;
    this.#ledger = ledger;
    this.#rest = new SubscriptionRest(options.baseUrl, options.subscription);
    this.#backoff = new Backoff(new Random(options.seed, stream.backoff, -1), { firstMs: 50, maxMs: 1000 });
  }

  /** What ended the reading early; undefined when nothing did. */
  get failure(): string | undefined {
    return this.#failure?.message;
  }

  /** Call before anything is published: a subscription starts at its topic's head. @throws RestError */
  async create(limitMs: number): Promise<void> {
    const { topic } = this.#options;
    const body = { topic, enableMessageOrdering: true, ackDeadlineSeconds, expirationPolicy: { ttl: '86400s' } };
    const done = (error: RestError): boolean => error.status === 409; // an earlier try took effect; the name is ours alone
    await this.#insist(() => this.#rest.create(body), done, limitMs);
  }

  start(): void {
    this.#progressMs = this.#options.now();
    this.#loop = this.#read();
  }

  /** Waits until all that was accepted has come and it has been quiet, or until nothing comes for `drainMs`. */
  async finish(drainMs: number): Promise<void> {
    const startMs = this.#options.now();
    const limitMs = (): number => (this.#ledger.awaited === 0 ? Math.min(quietMs, drainMs) : drainMs);
    while (this.#failure === undefined) {
      if (this.#options.now() - Math.max(startMs, this.#progressMs) > limitMs()) break;
      await wait(50);
    }
    this.#end.abort();
    await this.#loop;
  }

  /** @returns what went wrong; the subscription then expires by itself after a day. */
  async delete(): Promise<string | undefined> {
    this.#end.abort();
    await this.#loop;
    try {
      const done = (error: RestError): boolean => error.status === 404;
      await this.#insist(() => this.#rest.delete(), done, deleteMs);
      return undefined;
    } catch (error) {
      if (!(error instanceof RestError)) throw error;
      return `the subscription ${this.#options.subscription} was left behind: ${error.message}`;
    }
  }

  async #read(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        const messages = await this.#rest.pull(pullMax, signal);
        await this.#take(messages);
        this.#backoff.reset();
        if (messages.length < pullMax / 2) await wait(pullPauseMs);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof RestError)) throw error;
        if (!error.transient) {
          this.#failure = error;
          return;
        }
        this.requestFailures += 1;
        await wait(this.#backoff.nextMs());
      }
    }
  }

  async #take(messages: readonly PulledMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const own = messages.flatMap((message) => this.#note(message) ?? []);
    await this.#rest.acknowledge(messages.map(({ ackId }) => ackId));
    for (const { device, seq, messageId } of own) this.#ledger.ackConfirmed(device, seq, messageId);
  }

  #note({ message }: PulledMessage): Delivery | undefined {
    const bytes = Buffer.from(message.data ?? '', 'base64');
    const head = readPayload(bytes);
    // Two runs may share a run id; their client ids, which Headwater passes on as an attribute, still differ.
    const clientId = message.attributes?.['mqttClientId'];
    const ours = clientId === undefined || clientId.startsWith(this.#options.clientIdPrefix);
    if (head === undefined || head.runId !== this.#options.runId || !ours) {
      this.foreign += 1;
      return undefined;
    }
    const before = this.#ledger.received;
    this.#ledger.delivered(head.device, head.seq, message.messageId, crc32(bytes));
    // A message that comes again and again is no progress, or a server that loses acks would be waited for for ever.
    if (this.#ledger.received > before) this.#progressMs = this.#options.now();
    return { device: head.device, seq: head.seq, messageId: message.messageId };
  }

  /** Tries until it works, or `done` says that it already had, or for `limitMs`. */
  async #insist(request: () => Promise<void>, done: (error: RestError) => boolean, limitMs: number): Promise<void> {
    const deadlineMs = this.#options.now() + limitMs;
    for (;;) {
      try {
        return await request();
      } catch (error) {
        if (!(error instanceof RestError)) throw error;
        if (done(error)) return;
        if (!error.transient || this.#options.now() > deadlineMs) throw error;
        await wait(this.#backoff.nextMs());
      }
    }
  }
}

interface Delivery {
  readonly device: number;
  readonly seq: number;
  readonly messageId: string;
}

export interface VerifierOptions {
  readonly baseUrl: string;
  /** `projects/{project}/subscriptions/{id}`, unique to the run. */
  readonly subscription: string;
  /** `projects/{project}/topics/{id}` */
  readonly topic: string;
  readonly runId: string;
  readonly clientIdPrefix: string;
  readonly seed: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}
