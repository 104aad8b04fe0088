import type { Message, StoredMessage } from '../domain/message.ts';
import type { PushConfig } from '../domain/push-config.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import type { Subscription } from '../domain/subscription.ts';
import type { Topic } from '../domain/topic.ts';
import type { SubscriptionStats } from '../store/store.ts';
import type { StreamingPull } from './streaming-pull.ts';
import type { StreamOutlet, StreamSettings } from './streaming-pull-outlet.ts';

/** What every doorway (REST, gRPC, MQTT, the configuration file) may do with Pub/Sub; see src/README.md. */
export interface PubSub {
  readonly topics: Topics;
  readonly subscriptions: Subscriptions;
  readonly snapshots: Snapshots;
  readonly publisher: Publish;
  readonly subscriber: Subscribe;
  /** Streaming pull; messages are settled through `subscriber`, whoever received them. */
  readonly streams: Streams;
  /** Ends waiting pulls and the sweeps; does not close the store. */
  close(): Promise<void>;
}

export interface Topics {
  /**
   * @param partitions how many logs share its load; absent: what its label `headwater-partitions` says, else the
   *   configured number.
   * @throws ALREADY_EXISTS, INVALID_ARGUMENT
   */
  create(topic: Topic, partitions?: number): Promise<Topic>;
  /** @throws NOT_FOUND */
  partitions(name: string): Promise<number>;
  /**
   * Splits the topic over more partitions. Nothing is lost; a key's messages keep their order from then on, while what
   * was published with the key before may still be delivered beside them.
   * @throws NOT_FOUND, INVALID_ARGUMENT; FAILED_PRECONDITION fewer than there are
   */
  setPartitions(name: string, partitions: number): Promise<void>;
  get(name: string): Promise<Topic>;
  list(request: ListRequest): Promise<Listed<Topic>>;
  /**
   * A new value of the label `headwater-partitions` grows the topic first.
   * @param paths field mask in proto names (`message_retention_duration`); empty or unknown is INVALID_ARGUMENT.
   * @throws FAILED_PRECONDITION the label asks for fewer partitions than there are
   */
  update(topic: Topic, paths: readonly string[]): Promise<Topic>;
  delete(name: string): Promise<void>;
  listSubscriptions(name: string, page: PageOptions): Promise<Listed<string>>;
  listSnapshots(name: string, page: PageOptions): Promise<Listed<string>>;
}

export interface Subscriptions {
  /** @throws NOT_FOUND "Subscription topic does not exist", ALREADY_EXISTS, INVALID_ARGUMENT */
  create(subscription: Subscription): Promise<Subscription>;
  get(name: string): Promise<Subscription>;
  list(request: ListRequest): Promise<Listed<Subscription>>;
  /** @param paths field mask in proto names (`ack_deadline_seconds`). */
  update(subscription: Subscription, paths: readonly string[]): Promise<Subscription>;
  delete(name: string): Promise<void>;
  /** @param push absent: from now on messages are pulled. @throws NOT_FOUND, INVALID_ARGUMENT */
  modifyPushConfig(name: string, push: PushConfig | undefined): Promise<void>;
  /** The backlog is dropped; pulls answer FAILED_PRECONDITION from then on. */
  detach(name: string): Promise<void>;
  stats(name: string): Promise<SubscriptionStats>;
  /** @throws INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION */
  seek(name: string, target: { readonly timeMs: number } | { readonly snapshot: string }): Promise<void>;
}

export interface Snapshots {
  /** Expires 7 d minus the age of the oldest unacked message; under 1 h is FAILED_PRECONDITION. */
  create(name: string, subscription: string, labels: Readonly<Record<string, string>>): Promise<Snapshot>;
  get(name: string): Promise<Snapshot>;
  list(request: ListRequest): Promise<Listed<Snapshot>>;
  update(snapshot: Snapshot, paths: readonly string[]): Promise<Snapshot>;
  delete(name: string): Promise<void>;
}

/** The one path in, for devices, HTTP and gRPC. */
export interface Publish {
  /**
   * Resolves with one id per message, in order, when all are durable (I1); all or nothing.
   * @throws NOT_FOUND, INVALID_ARGUMENT (which limit, what is allowed), UNAVAILABLE
   */
  publish(topic: string, messages: readonly Message[]): Promise<string[]>;
  /**
   * The hot path of the bridge: one message, with an optional key under which a repetition is recognised (I6).
   * `message.attributes` is checked and encoded once per object: pass the same object again for the same attributes.
   */
  publishOne(topic: string, message: Message, dedupe?: string): Promise<void>;
  /**
   * Lets a dedupe key of `publishOne` go; durable on return.
   * @param at where the message went; undefined when that is no longer known (after a restart): slower.
   */
  forget(dedupe: string, at: { readonly topic: string; readonly orderingKey: string } | undefined): Promise<void>;
}

/** The one path out, for pull, streaming pull, push and downlink. */
export interface Subscribe {
  /**
   * Leases what is there now, without waiting; may be empty.
   * @throws NOT_FOUND, FAILED_PRECONDITION detached
   */
  lease(subscription: string, limits: LeaseLimits): Promise<ReceivedMessage[]>;
  /** Leases; when nothing is there waits until something is, or `signal` aborts (then: empty). */
  pull(subscription: string, limits: LeaseLimits, signal: AbortSignal): Promise<ReceivedMessage[]>;
  /** Durable on return. @throws INVALID_ARGUMENT a malformed ack id: nothing was acked. NOT_FOUND. */
  acknowledge(subscription: string, ackIds: readonly string[]): Promise<AckResult[]>;
  /** @param ackDeadlineMs 0..600_000; 0 is a nack. @throws as `acknowledge` */
  modifyAckDeadline(subscription: string, ackIds: readonly string[], ackDeadlineMs: number): Promise<AckResult[]>;
  /** Gives back what was leased but never sent; not counted as an attempt. */
  release(subscription: string, ackIds: readonly string[]): Promise<void>;
}

/** Streams of messages: a client says once what it takes, and gets what comes until one of them ends it. */
export interface Streams {
  /** @throws RESOURCE_EXHAUSTED as many streams as may are open; UNAVAILABLE the server is closing */
  open(subscription: string, settings: StreamSettings, outlet: StreamOutlet): StreamingPull;
  /** Every stream ends with UNAVAILABLE. */
  close(): void;
}

export interface LeaseLimits {
  readonly messagesMax: number; // 1..1000 is usual; more is cut to the configured bound
  readonly bytesMax: number;
  /** Instead of the subscription's own deadline (StreamingPull's stream_ack_deadline_seconds). */
  readonly ackDeadlineMs?: number;
  /** For whom a push subscription's messages are; anybody else who pulls from it is answered FAILED_PRECONDITION. */
  readonly forPush?: boolean;
}

export interface ReceivedMessage {
  readonly ackId: string;
  readonly message: StoredMessage;
  /** Its size in the log: data, attributes and keys. */
  readonly bytes: number;
  /** 0 when the subscription has no dead-letter policy. */
  readonly deliveryAttempt: number;
}

/**
 * Per ack id. On an ordinary subscription an id that is too late is still `ok`, as in Pub/Sub; `invalid` and
 * `unordered` occur on exactly-once subscriptions only (ErrorInfo PERMANENT_FAILURE_INVALID_ACK_ID there).
 */
export type AckResult = 'ok' | 'invalid' | 'unordered';

export interface ListRequest extends PageOptions {
  readonly project: string; // projects/{project}
}

export interface PageOptions {
  readonly pageSize: number; // 0 = default
  readonly pageToken: string; // empty = first page
}

export interface Listed<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}
