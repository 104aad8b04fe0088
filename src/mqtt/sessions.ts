import { randomUUID } from 'node:crypto';
import type { Table } from '../store/store.ts';
import type { MqttCounters } from './counters.ts';
import { FilterTrie } from './filter-trie.ts';
import { LatestWriter } from './latest-writer.ts';
import { OfflineQueue, type QueueBudget } from './offline-queue.ts';
import { Refusal, reasonCodes } from './refusal.ts';
import { Session, type SessionRecord, type SessionSubscription } from './session.ts';

export interface SessionsOptions {
  readonly table: Table<SessionRecord>;
  readonly counters: MqttCounters;
  readonly clock: () => number;
  readonly newId?: () => string;
  readonly limits: {
    readonly sessionsMax: number;
    readonly sessionQueueMessagesMax: number;
    readonly sessionQueueBytesMax: number;
  };
}

export interface SessionRequest {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly expirySeconds: number;
}

/**
 * The sessions that outlive their connections. Each is one record in a durable table, written before the CONNACK and
 * before every SUBACK and UNSUBACK, so that a client that was told "session present" or "subscribed" stays so across a
 * killed server (I10).
 *
 *     CONNECT, nothing known ──► fresh: present = 0. In the table if its expiry is above 0
 *     CONNECT, known, Clean Start ──► the old one ends; fresh
 *     CONNECT, known ──► resumed: present = 1
 *     connection over ──► expiry 0: ends. Otherwise it waits, and ends `expirySeconds` later
 *
 * After a kill nobody knows when the connections ended: their sessions count from the restart.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #writer: LatestWriter<SessionRecord>;
  readonly #budget: QueueBudget;
  readonly #sessions = new Map<string, Session>();
  /** QoS 1 and 2 subscriptions, by session: who gets a message queued. */
  readonly filters = new FilterTrie<Session, SessionSubscription>();

  private constructor(options: SessionsOptions) {
    this.#options = options;
    this.#writer = new LatestWriter(options.table);
    const { sessionQueueMessagesMax, sessionQueueBytesMax } = options.limits;
    this.#budget = { bytes: 0, bytesMax: sessionQueueBytesMax, messagesMax: sessionQueueMessagesMax };
  }

  /** Reads what an earlier process left. */
  static async load(options: SessionsOptions): Promise<Sessions> {
    const sessions = new Sessions(options);
    let after: string | undefined;
    for (;;) {
      const { items, more } = await options.table.list({
        prefix: '',
        limit: 1000,
        ...(after !== undefined && { after }),
      });
      for (const { key, value } of items) sessions.#recall(key, value);
      after = items.at(-1)?.key;
      if (!more) break;
    }
    sessions.sweep();
    return sessions;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get queuedBytes(): number {
    return this.#budget.bytes;
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  /**
   * Starts or resumes the session of a client whose earlier connection is over. Durable on return.
   * @throws Refusal quotaExceeded
   */
  async open({ clientId, cleanStart, expirySeconds }: SessionRequest): Promise<{ session: Session; present: boolean }> {
    const known = this.#sessions.get(clientId);
    if (known && !cleanStart && !known.expired(this.#options.clock())) {
      known.expirySeconds = expirySeconds;
      known.lastSeenMs = 0;
      await this.save(known);
      return { session: known, present: true };
    }
    if (known) this.#forget(known);
    const session = this.#fresh(clientId, expirySeconds);
    if (session.kept) await this.#keep(session);
    else if (known) await this.#writer.write(clientId, undefined);
    return { session, present: false };
  }

  async #keep(session: Session): Promise<void> {
    this.#makeRoom();
    this.#sessions.set(session.clientId, session);
    try {
      await this.save(session);
    } catch (error) {
      this.#forget(session); // its client is refused and must not find it "present" the next time
      throw error;
    }
  }

  /** The connection is over. @param expirySeconds as the DISCONNECT may have changed it. */
  close(session: Session, expirySeconds: number): void {
    if (!session.kept || session.ended) return;
    session.expirySeconds = expirySeconds;
    session.lastSeenMs = this.#options.clock();
    if (expirySeconds === 0) this.#end(session);
    else this.save(session).catch(ignore); // the record then says "connected": the session lives longer, not shorter
  }

  async subscribe(session: Session, subscriptions: readonly SessionSubscription[]): Promise<void> {
    for (const subscription of subscriptions) {
      const { topic, qos } = subscription;
      session.subscriptions.set(topic, subscription);
      if (qos > 0) this.filters.set(topic, session, subscription);
      else this.filters.delete(topic, session);
    }
    await this.save(session);
  }

  async unsubscribe(session: Session, filters: readonly string[]): Promise<void> {
    for (const filter of filters) {
      session.subscriptions.delete(filter);
      this.filters.delete(filter, session);
    }
    await this.save(session);
  }

  save(session: Session): Promise<void> {
    return session.ended ? Promise.resolve() : this.#writer.write(session.clientId, session.record());
  }

  /** Ends the sessions that have expired. */
  sweep(): void {
    const nowMs = this.#options.clock();
    for (const session of this.#sessions.values()) if (session.expired(nowMs)) this.#end(session);
  }

  /** When every write that was begun is durable, or has failed. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }

  #fresh(clientId: string, expirySeconds: number): Session {
    const sessionId = (this.#options.newId ?? randomUUID)();
    const queue = new OfflineQueue(this.#budget, this.#options.counters);
    return new Session({ clientId, sessionId, expirySeconds, kept: expirySeconds > 0, recalled: false, queue });
  }

  #recall(clientId: string, { sessionId, expirySeconds, subscriptions, lastSeenMs }: SessionRecord): void {
    const queue = new OfflineQueue(this.#budget, this.#options.counters);
    const session = new Session({ clientId, sessionId, expirySeconds, kept: true, recalled: true, queue });
    session.lastSeenMs = lastSeenMs || this.#options.clock();
    this.#sessions.set(clientId, session);
    for (const subscription of subscriptions) {
      session.subscriptions.set(subscription.topic, subscription);
      if (subscription.qos > 0) this.filters.set(subscription.topic, session, subscription);
    }
  }

  #makeRoom(): void {
    const { sessionsMax } = this.#options.limits;
    if (this.#sessions.size >= sessionsMax) this.sweep();
    if (this.#sessions.size < sessionsMax) return;
    const message = `The server keeps ${sessionsMax} sessions and no more. Connect with a clean session, or end another.`;
    throw new Refusal(reasonCodes.quotaExceeded, message, 'session_limit');
  }

  #end(session: Session): void {
    this.#forget(session);
    this.#writer.write(session.clientId, undefined).catch(ignore); // it has expired: the next start drops it
  }

  #forget(session: Session): void {
    session.ended = true;
    session.queue.clear();
    for (const filter of session.subscriptions.keys()) this.filters.delete(filter, session);
    this.#sessions.delete(session.clientId);
  }
}

function ignore(): void {}
