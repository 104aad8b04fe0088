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
import { staged, under } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import type { MqttEnvironment, SessionRecord } from './mqtt-environment.ts';
import type { MqttWills } from './mqtt-wills.ts';

export interface MqttClientsOptions {
  readonly env: MqttEnvironment;
  readonly commit: GroupCommit;
  readonly clock: () => number;
  readonly limits: MqttStateLimits;
  readonly wills: MqttWills;
  /** The session's queue may go. */
  readonly onEnded: (sessionId: string) => void;
}

interface Connected extends ConnectionRef {
  readonly sessionId: string;
  readonly kept: boolean;
}

/**
 * Who is connected, and the kept sessions. What happens to one client happens one after the other, and to memory only
 * when it is on disk. A client that was connected when the process died counts as having left when it is started again.
 */
export class MqttClients {
  readonly #options: MqttClientsOptions;
  readonly #sessions = new Map<string, SessionRecord>(); // by client id
  readonly #kept = new Set<string>(); // their session ids
  readonly #connected = new Map<string, Connected>();
  readonly #turns = new Map<string, Promise<unknown>>();
  #events!: MqttStateEvents;
  takeoverTimeouts = 0;

  constructor(options: MqttClientsOptions) {
    this.#options = options;
    const { env, clock } = options;
    for (const { key, value } of env.state.getRange(under<['session', string]>(['session']))) {
      const record = value as SessionRecord;
      this.#remember(key[1], { ...record, awayMs: record.awayMs || clock() });
    }
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  isKept = (sessionId: string): boolean => this.#kept.has(sessionId);

  expiryOf = (clientId: string): number => this.#sessions.get(clientId)?.expirySeconds ?? 0;

  async open(events: MqttStateEvents): Promise<void> {
    this.#events = events;
    await this.endExpired();
    for (const [clientId, record] of this.#sessions) events.onSession(keptSession(clientId, record));
  }

  async connect(request: ConnectRequest): Promise<ConnectGrant> {
    return this.#inTurn(request.clientId, async () => {
      const known = this.#sessions.get(request.clientId);
      const present = known !== undefined && !request.cleanStart && !this.#expired(known);
      if (!present && request.expirySeconds > 0) await this.#makeRoom(request.clientId);
      const earlier = this.#connected.get(request.clientId);
      const sessionId = present ? known.sessionId : request.newSessionId;
      const kept = present || request.expirySeconds > 0;
      this.#connected.set(request.clientId, { ...request, sessionId, kept });
      if (earlier) await this.#replace(earlier);
      const earlierWill = await this.#begin(request, present ? known : undefined, kept);
      const { subscriptions = {}, connection, sentUpTo = 0 } = present ? known : {};
      return { sessionId, present, subscriptions, previous: connection, sentUpTo: sentUpTo ?? undefined, earlierWill };
    });
  }

  async disconnect(connection: ConnectionRef, { sendWill, expirySeconds, sentUpTo }: Departure) {
    if (!this.#holds(connection)) return undefined;
    return this.#inTurn(connection.clientId, async () => {
      const connected = this.#holds(connection);
      if (!connected) return undefined;
      const { clientId } = connection;
      const record = this.#sessions.get(clientId);
      const left = record &&
        expirySeconds > 0 && { expirySeconds, sentUpTo: sentUpTo ?? null, awayMs: this.#options.clock() };
      const after = left ? { ...record, ...left } : undefined;
      const stage = record && (() => this.#stage(clientId, after));
      const will = await this.#options.wills.leave(connection.connection, sendWill, expirySeconds, stage);
      this.#connected.delete(clientId);
      if (after) this.#remember(clientId, after);
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
      await this.#options.commit.exec(() => this.#stage(connection.clientId, changed));
      this.#remember(connection.clientId, changed);
      this.#events.onSession(keptSession(connection.clientId, changed));
      return 'held';
    });
  }

  async endExpired(): Promise<void> {
    const expired = [...this.#sessions].filter(([, record]) => this.#expired(record));
    for (const [clientId] of expired) await this.#inTurn(clientId, () => this.#endExpired(clientId));
  }

  /** The process ends: what is known now need not be guessed by the next one. */
  async close(): Promise<void> {
    const awayMs = this.#options.clock();
    await this.#options.commit.exec(() => {
      for (const [clientId, record] of this.#sessions) {
        if (record.awayMs === 0) this.#stage(clientId, { ...record, awayMs });
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
    try {
      const stage = record || ended ? () => this.#stage(clientId, record) : undefined;
      const will = await wills.begin(request, resumed !== undefined, stage);
      if (ended) this.#forget(clientId, ended);
      if (record) this.#remember(clientId, record);
      if (record) this.#events.onSession(keptSession(clientId, record));
      return will;
    } catch (error) {
      this.#abandon(clientId);
      throw error;
    }
  }

  /** The client has neither its old connection nor a new one. */
  #abandon(clientId: string): void {
    this.#connected.delete(clientId);
    const record = this.#sessions.get(clientId);
    if (record) this.#remember(clientId, { ...record, awayMs: record.awayMs || this.#options.clock() });
    this.#options.wills.orphan(clientId, this.expiryOf(clientId));
  }

  async #replace(earlier: Connected): Promise<void> {
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
    if (this.#sessions.has(clientId) || this.#sessions.size < sessionsMax) return;
    const others = [...this.#sessions].filter(([, record]) => this.#expired(record));
    for (const [other] of others) await this.#inTurn(other, () => this.#endExpired(other));
    if (this.#sessions.size < sessionsMax) return;
    const text = `The server keeps ${sessionsMax} sessions and no more. Connect with a clean session, or end another.`;
    throw new PubSubError('RESOURCE_EXHAUSTED', text);
  }

  async #endExpired(clientId: string): Promise<void> {
    const record = this.#sessions.get(clientId);
    if (!record || !this.#expired(record)) return;
    await this.#options.commit.exec(() => this.#stage(clientId, undefined));
    this.#forget(clientId, record);
  }

  #expired({ awayMs, expirySeconds }: SessionRecord): boolean {
    return awayMs > 0 && this.#options.clock() >= awayMs + expirySeconds * 1000;
  }

  #holds({ clientId, connection }: ConnectionRef): Connected | undefined {
    const connected = this.#connected.get(clientId);
    return connected?.connection === connection ? connected : undefined;
  }

  /** To be called while a transaction is assembled. */
  #stage(clientId: string, record: SessionRecord | undefined): void {
    const { state } = this.#options.env;
    staged(record ? state.put(['session', clientId], record) : state.remove(['session', clientId]));
  }

  #remember(clientId: string, record: SessionRecord): void {
    this.#sessions.set(clientId, record);
    this.#kept.add(record.sessionId);
  }

  #forget(clientId: string, { sessionId }: SessionRecord): void {
    this.#sessions.delete(clientId);
    this.#kept.delete(sessionId);
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
