import { randomUUID } from 'node:crypto';
import type {
  ConnectGrant,
  ConnectionRef,
  ConnectRequest,
  Departure,
  Held,
  MqttState,
  MqttStateCounters,
  MqttStateEvents,
  MqttStateLimits,
  QueueEntry,
  QueuePage,
  SubscriptionChanges,
  TakenWill,
} from '../store.ts';
import type { Environment } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import { MqttClients } from './mqtt-clients.ts';
import { openMqttEnvironment } from './mqtt-environment.ts';
import { MqttQueues } from './mqtt-queues.ts';
import { MqttRetained } from './mqtt-retained.ts';
import { MqttSessions } from './mqtt-sessions.ts';
import { MqttWills } from './mqtt-wills.ts';

export interface LmdbMqttStateOptions {
  readonly env: Environment;
  readonly commit: GroupCommit;
  readonly clock: () => number;
  readonly limits: MqttStateLimits;
  /** @throws PubSubError UNAVAILABLE */
  readonly mustBeOpen: () => void;
}

/** What MQTT keeps, of the only node there is; its writes share the commits of everything else. */
export class LmdbMqttState implements MqttState {
  readonly node = randomUUID();
  readonly #mustBeOpen: () => void;
  readonly #sessions: MqttSessions;
  readonly #clients: MqttClients;
  readonly #queues: MqttQueues;
  readonly #wills: MqttWills;
  readonly #retained: MqttRetained;
  /** Ended sessions whose queues are still there. */
  readonly #ended = new Set<string>();
  #events!: MqttStateEvents;

  constructor({ env, commit, clock, limits, mustBeOpen }: LmdbMqttStateOptions) {
    const mqtt = openMqttEnvironment(env);
    this.#mustBeOpen = mustBeOpen;
    this.#queues = new MqttQueues(mqtt, commit, limits);
    this.#retained = new MqttRetained(mqtt, commit, limits);
    this.#wills = new MqttWills(mqtt, commit, clock);
    const onEnded = (sessionId: string) => void this.#dropQueue(sessionId);
    this.#sessions = new MqttSessions(mqtt, clock);
    this.#clients = new MqttClients({ sessions: this.#sessions, commit, clock, limits, wills: this.#wills, onEnded });
    this.#wills.open(this.#sessions.expiryOf);
  }

  async open(events: MqttStateEvents): Promise<void> {
    this.#mustBeOpen();
    this.#events = events;
    await this.#clients.open(events);
    for (const [topic, message] of this.#retained.all()) events.onRetained(topic, message);
    for (const sessionId of this.#queues.sessionIds())
      if (!this.#sessions.isKept(sessionId)) this.#ended.add(sessionId);
    events.onCurrent();
  }

  async connect(request: ConnectRequest): Promise<ConnectGrant> {
    this.#mustBeOpen();
    return this.#clients.connect(request);
  }

  async disconnect(connection: ConnectionRef, departure: Departure): Promise<TakenWill | undefined> {
    this.#mustBeOpen();
    return this.#clients.disconnect(connection, departure);
  }

  async subscribe(connection: ConnectionRef, changes: SubscriptionChanges): Promise<Held> {
    this.#mustBeOpen();
    return this.#clients.subscribe(connection, changes);
  }

  async willSent(will: TakenWill): Promise<void> {
    this.#mustBeOpen();
    await this.#wills.sent(will);
  }

  async sweep(): Promise<TakenWill[]> {
    this.#mustBeOpen();
    await this.#clients.endExpired();
    for (const sessionId of [...this.#ended]) await this.#dropQueue(sessionId);
    return this.#wills.takeDue();
  }

  async enqueue(entries: readonly QueueEntry[]): Promise<number> {
    this.#mustBeOpen();
    const refused = await this.#queues.enqueue(entries, this.#sessions.isKept);
    for (const { sessionId } of entries) this.#events.onQueued(sessionId);
    return refused;
  }

  async queued(sessionId: string, after: number, messagesMax: number, bytesMax: number): Promise<QueuePage> {
    this.#mustBeOpen();
    if (!this.#sessions.isKept(sessionId)) return { messages: [], more: false };
    return this.#queues.read(sessionId, after, messagesMax, bytesMax);
  }

  async markReceived(sessionId: string, id: number): Promise<void> {
    this.#mustBeOpen();
    if (this.#sessions.isKept(sessionId)) await this.#queues.markReceived(sessionId, id);
  }

  async settle(sessionId: string, ids: readonly number[]): Promise<void> {
    this.#mustBeOpen();
    if (this.#sessions.isKept(sessionId)) await this.#queues.settle(sessionId, ids);
  }

  async retain(topic: string, message: Uint8Array | undefined): Promise<boolean> {
    this.#mustBeOpen();
    return this.#retained.set(topic, message, () => this.#events.onRetained(topic, message));
  }

  /** There are no other nodes. */
  forward(): void {}

  counters(): MqttStateCounters {
    return {
      sessions: this.#sessions.size,
      nodes: 0,
      queueRefused: this.#queues.refused,
      forwarded: 0,
      forwardDropped: 0,
      forwardReceived: 0,
      takeovers: 0,
      takeoverTimeouts: this.#clients.takeoverTimeouts,
      resets: 0,
      retainedMessages: this.#retained.messages,
      retainedBytes: this.#retained.bytes,
    };
  }

  async close(): Promise<void> {
    this.#mustBeOpen();
    await this.#clients.close();
  }

  /** What fails is tried again by the next sweep. */
  async #dropQueue(sessionId: string): Promise<void> {
    this.#ended.add(sessionId);
    try {
      this.#mustBeOpen();
      await this.#queues.drop(sessionId);
      this.#ended.delete(sessionId);
    } catch {}
  }
}
