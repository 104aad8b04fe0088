import { PubSubError } from '../../domain/errors.ts';
import type {
  ConnectGrant,
  ConnectionRef,
  ConnectRequest,
  Departure,
  Held,
  KeptSession,
  MqttStateEvents,
  MqttStateLimits,
  SubscriptionChanges,
  TakenWill,
} from '../store.ts';
import type { GroupCommit } from './group-commit.ts';
import type { SessionRecord } from './mqtt-environment.ts';
import type { MqttSessions } from './mqtt-sessions.ts';
import type { MqttWills } from './mqtt-wills.ts';

export interface MqttClientsOptions {
  readonly sessions: MqttSessions;
  readonly commit: GroupCommit;
  readonly clock: () => number;
  readonly limits: MqttStateLimits;
  readonly wills: MqttWills;
  /** The session's queue may go. */
  readonly onEnded: (sessionId: string) => void;
}

/**
 * Who is connected, and the kept sessions. What happens to one client happens one after the other, and to memory only
 * when it is on disk. A client that was connected when the process died counts as having left when it is started again.
 */
export class MqttClients {
  readonly #options: MqttClientsOptions;
  readonly #sessions: MqttSessions;
  readonly #connected = new Map<string, ConnectionRef>();
  readonly #turns = new Map<string, Promise<unknown>>();
  #events!: MqttStateEvents;
  #beginning = 0; // sessions that are on their way to the disk
  takeoverTimeouts = 0;

  constructor(options: MqttClientsOptions) {
    this.#options = options;
    this.#sessions = options.sessions;
  }

  async open(events: MqttStateEvents): Promise<void> {
    this.#events = events;
    await this.endExpired();
    for (const [clientId, record] of this.#sessions.all()) events.onSession(keptSession(clientId, record));
  }

  async connect(request: ConnectRequest): Promise<ConnectGrant> {
    return this.#inTurn(request.clientId, async () => {
      const known = this.#sessions.get(request.clientId);
      const present = known !== undefined && !request.cleanStart && !this.#sessions.hasExpired(known);
      if (!present && request.expirySeconds > 0) await this.#makeRoom(request.clientId);
      const earlier = this.#connected.get(request.clientId);
      const sessionId = present ? known.sessionId : request.newSessionId;
      const kept = present || request.expirySeconds > 0;
      this.#connected.set(request.clientId, { clientId: request.clientId, connection: request.connection });
      if (earlier) await this.#replace(earlier);
      const earlierWill = await this.#begin(request, present ? known : undefined, kept);
      const { subscriptions = {}, connection, sentUpTo = 0 } = present ? known : {};
      return { sessionId, present, subscriptions, previous: connection, sentUpTo: sentUpTo ?? undefined, earlierWill };
    });
  }

  async disconnect(connection: ConnectionRef, { sendWill, expirySeconds, sentUpTo }: Departure) {
    if (!this.#holds(connection)) return undefined;
    return this.#inTurn(connection.clientId, async () => {
      if (!this.#holds(connection)) return undefined;
      const { clientId } = connection;
      const record = this.#sessions.get(clientId);
      const left = { expirySeconds, sentUpTo: sentUpTo ?? null, awayMs: this.#options.clock() };
      const after = record && expirySeconds > 0 ? { ...record, ...left } : undefined;
      const stage = record && (() => this.#sessions.stage(clientId, after));
      const will = await this.#options.wills.leave(connection.connection, sendWill, expirySeconds, stage);
      this.#connected.delete(clientId);
      if (after) this.#sessions.set(clientId, after);
      else if (record) this.#forget(clientId, record);
      return will;
    });
  }

  async subscribe(connection: ConnectionRef, { added, removed }: SubscriptionChanges): Promise<Held> {
    return this.#inTurn(connection.clientId, async () => {
      if (!this.#holds(connection)) return 'lost';
      const record = this.#sessions.get(connection.clientId);
      if (!record) return 'held';
      const subscriptions = { ...record.subscriptions, ...added };
      for (const filter of removed) delete subscriptions[filter];
      const changed = { ...record, subscriptions };
      await this.#options.commit.exec(() => this.#sessions.stage(connection.clientId, changed));
      this.#sessions.set(connection.clientId, changed);
      this.#events.onSession(keptSession(connection.clientId, changed));
      return 'held';
    });
  }

  async endExpired(): Promise<void> {
    for (const clientId of this.#sessions.expired()) await this.#inTurn(clientId, () => this.#endExpired(clientId));
  }

  /** The process ends: what is known now need not be guessed by the next one. */
  async close(): Promise<void> {
    const awayMs = this.#options.clock();
    await this.#options.commit.exec(() => {
      for (const [clientId, record] of this.#sessions.all()) {
        if (record.awayMs === 0) this.#sessions.stage(clientId, { ...record, awayMs });
      }
    });
  }

  /** Writes what the connection begins with, its will too. @returns the will of an earlier one that is to be sent now */
  async #begin(
    request: ConnectRequest,
    resumed: SessionRecord | undefined,
    kept: boolean,
  ): Promise<TakenWill | undefined> {
    const { clientId, connection, expirySeconds, newSessionId } = request;
    const { wills } = this.#options;
    const ended = resumed ? undefined : this.#sessions.get(clientId);
    const fresh = { sessionId: newSessionId, subscriptions: {} };
    const record = kept ? { ...(resumed ?? fresh), connection, expirySeconds, awayMs: 0, sentUpTo: null } : undefined;
    const more = record && !resumed && !ended ? 1 : 0;
    this.#beginning += more;
    try {
      const stage = record || ended ? () => this.#sessions.stage(clientId, record) : undefined;
      const will = await wills.begin(request, resumed !== undefined, stage);
      if (ended) this.#forget(clientId, ended);
      if (record) this.#sessions.set(clientId, record);
      if (record) this.#events.onSession(keptSession(clientId, record));
      return will;
    } catch (error) {
      this.#abandon(clientId);
      throw error;
    } finally {
      this.#beginning -= more;
    }
  }

  /** The client has neither its old connection nor a new one. */
  #abandon(clientId: string): void {
    this.#connected.delete(clientId);
    const record = this.#sessions.get(clientId);
    if (record) this.#sessions.set(clientId, { ...record, awayMs: record.awayMs || this.#options.clock() });
    this.#options.wills.orphan(clientId, this.#sessions.expiryOf(clientId));
  }

  async #replace(earlier: ConnectionRef): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.#options.limits.takeoverMs);
    });
    if ((await Promise.race([this.#events.onReplaced(earlier), late])) === 'late') this.takeoverTimeouts++;
    clearTimeout(timer);
  }

  /** @throws PubSubError RESOURCE_EXHAUSTED */
  async #makeRoom(clientId: string): Promise<void> {
    const { sessionsMax } = this.#options.limits;
    if (this.#sessions.get(clientId) || this.#sessions.size + this.#beginning < sessionsMax) return;
    await this.endExpired();
    if (this.#sessions.size + this.#beginning < sessionsMax) return;
    const text = `The server keeps ${sessionsMax} sessions and no more. Connect with a clean session, or end another.`;
    throw new PubSubError('RESOURCE_EXHAUSTED', text);
  }

  async #endExpired(clientId: string): Promise<void> {
    const record = this.#sessions.get(clientId);
    if (!record || !this.#sessions.hasExpired(record)) return;
    await this.#options.commit.exec(() => this.#sessions.stage(clientId, undefined));
    this.#forget(clientId, record);
  }

  #holds({ clientId, connection }: ConnectionRef): boolean {
    return this.#connected.get(clientId)?.connection === connection;
  }

  #forget(clientId: string, { sessionId }: SessionRecord): void {
    this.#sessions.delete(clientId);
    this.#events.onSessionEnded(sessionId);
    this.#options.onEnded(sessionId);
  }

  /** What happens to one client happens one after the other. */
  async #inTurn<T>(clientId: string, step: () => Promise<T>): Promise<T> {
    const earlier = this.#turns.get(clientId) ?? Promise.resolve();
    const turn = earlier.then(step, step);
    this.#turns.set(clientId, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(clientId) === turn) this.#turns.delete(clientId);
    }
  }
}

function keptSession(clientId: string, { sessionId, subscriptions }: SessionRecord): KeptSession {
  return { clientId, sessionId, subscriptions };
}
