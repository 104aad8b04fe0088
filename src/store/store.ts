import type { Batch } from '../domain/batch.ts';
import type { RetryPolicy } from '../domain/retry-policy.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import type { Subscription } from '../domain/subscription.ts';
import type { Topic } from '../domain/topic.ts';
import type { MqttState, MqttStateLimits } from './mqtt-state.ts';

export type * from './mqtt-state.ts';

/**
 * The durable home of topics, their logs, and what each subscription has done with them. What it promises is pinned by
 * test/contract/store.contract.ts and test/model, which every adapter passes.
 *
 * THE LOG. A topic has P partitions; a partition is a log of batches with dense offsets from 1. `append` resolves when
 * the batch would survive a crash (I1).
 *
 * THE LEASE. A subscription's state on a partition is a *cursor* (the first offset it never handed out), an *acked
 * set*, and a set of *blocks*: the runs of offsets that were handed out together. A message is handed out by exactly
 * one live block (I4). It leaves the block when it is acked, or it becomes due again: after a nack, or once its
 * deadline has passed, in both cases later by the retry policy's backoff. `lease` hands due messages out in a new
 * block; the block id therefore is the generation of a delivery, and a reference into an old block answers `stale`.
 *
 * LANES. A message with an ordering key belongs to a lane (a 32-bit hash of the key; 0 = unordered). Per lane one run
 * of consecutive messages may be out at a time, in one block; later messages of the lane are *parked* until every
 * message of the run is acked. A message of a run that is nacked or expires takes the later messages of its run
 * with it, acked ahead of it or not, and they are handed out again together, in order, when all earlier ones of the
 * run are settled (I5). Only the message that failed has its attempt count raised.
 *
 * Time comes from the clock that the store was opened with. All `…Ms` are milliseconds; moments are Unix epoch.
 *
 * @throws PubSubError NOT_FOUND, ALREADY_EXISTS as each method says; UNAVAILABLE from any method: the outcome is
 *   unknown, a retry may duplicate but never lose.
 */
export interface Store {
  /** @throws ALREADY_EXISTS */
  createTopic(topic: Topic, partitions?: number): Promise<StoredTopic>;
  /** Replaces the definition; the log stays. @throws NOT_FOUND */
  updateTopic(topic: Topic): Promise<void>;
  /**
   * Splits the topic over more partitions: the new ones are empty, and every subscription has all of them unacked. When
   * it returns, no append that was placed by the old number succeeds any more, on whatever node. Whoever reads the new
   * number from the catalogue finds every log refusing the old one.
   * @throws NOT_FOUND; FAILED_PRECONDITION fewer than there are: a log cannot be folded into another.
   */
  setPartitions(topic: string, partitions: number): Promise<void>;
  /** Its subscriptions keep their backlog and name `_deleted-topic_`. @throws NOT_FOUND */
  deleteTopic(name: string): Promise<void>;
  topic(name: string): Promise<StoredTopic | undefined>;
  listTopics(page: PageRequest): Promise<Page<StoredTopic>>;
  /** Every log that still exists: those of topics, and those of deleted topics that subscriptions still read. */
  listLogs(): Promise<readonly LogRef[]>;

  /** Starts at the heads of the topic's partitions as they are at that moment. @throws NOT_FOUND topic, ALREADY_EXISTS */
  createSubscription(subscription: Subscription): Promise<StoredSubscription>;
  /** @throws NOT_FOUND */
  updateSubscription(subscription: Subscription): Promise<void>;
  /** Notes that somebody used the subscription; may be coarse. */
  touchSubscription(name: string, activeMs: number): Promise<void>;
  /** @throws NOT_FOUND */
  deleteSubscription(name: string): Promise<void>;
  subscription(name: string): Promise<StoredSubscription | undefined>;
  listSubscriptions(page: PageRequest): Promise<Page<StoredSubscription>>;
  /** Names, sorted. */
  subscriptionsOfTopic(topicId: string): Promise<readonly string[]>;
  snapshotsOfTopic(topicId: string): Promise<readonly string[]>;

  /**
   * Appends to one partition: all records in order, next to each other, or none. They are durable on return.
   * @param records encoded by `encodeRecord`, at least one.
   * @param dedupe when an append with this key is already in the log (and not forgotten), nothing is written and the
   *   first one's result comes back with `duplicate: true` (I6).
   * @param placedAmong how many partitions the caller chose this one from; absent: not by a key, any number will do.
   *   A repetition is recognised before its placement is looked at.
   * @throws NOT_FOUND no such log; ABORTED the topic has more partitions by now: choose again.
   */
  append(log: LogRef, records: readonly Uint8Array[], dedupe?: string, placedAmong?: number): Promise<Appended>;
  /**
   * Lets dedupe keys go; durable on return. Unknown keys are fine.
   * @param log undefined: wherever they are (slow; for the first PUBREL after a restart).
   */
  forget(log: LogRef | undefined, dedupeKeys: readonly string[]): Promise<void>;
  /** Lets go of every dedupe key that was written before `beforeMs`. */
  forgetBefore(log: LogRef, beforeMs: number): Promise<void>;

  /** Whole batches from the one that holds `fromOffset` on (or the next kept one), at least one if any, up to `bytesMax`. */
  read(log: LogRef, fromOffset: number, bytesMax: number): Promise<readonly Batch[]>;
  /** First offset published at or after `timeMs`; the head when there is none. */
  offsetAt(log: LogRef, timeMs: number): Promise<number>;
  /**
   * Removes batches that lie wholly before `beforeOffset`; the caller answers for I3. A store that several nodes use
   * keeps what somebody needs by now, whatever the caller saw.
   */
  trim(log: LogRef, beforeOffset: number): Promise<void>;
  watermarks(log: LogRef): Promise<Watermarks>;
  /** Calls back after every append to the log, on whatever node; spurious calls are allowed. Returns the way to stop. */
  onWake(log: LogRef, wake: () => void): () => void;

  /** @throws NOT_FOUND */
  lease(subscription: SubscriptionPartition, request: LeaseRequest): Promise<LeaseGrant>;
  /** Durable on return. One outcome per reference, in order. @throws NOT_FOUND */
  ack(subscription: SubscriptionPartition, refs: readonly LeaseRef[], options: SettleOptions): Promise<Outcome[]>;
  /** Moves each message's deadline to `ackDeadlineMs` from now. @throws NOT_FOUND */
  modifyDeadline(
    subscription: SubscriptionPartition,
    refs: readonly LeaseRef[],
    ackDeadlineMs: number,
    options: SettleOptions,
  ): Promise<Outcome[]>;
  /** Gives messages back; the references are void at once. @throws NOT_FOUND */
  nack(subscription: SubscriptionPartition, refs: readonly LeaseRef[], options: NackOptions): Promise<Outcome[]>;

  /** Everything before `offset` counts as acked, everything from it on as unacked; all leases end. @throws NOT_FOUND */
  seek(subscription: SubscriptionPartition, offset: number): Promise<void>;
  /** Acks everything before `offset` without touching the rest (retention passed). @throws NOT_FOUND */
  skipTo(subscription: SubscriptionPartition, offset: number): Promise<void>;
  /** Copies the acked state of every partition. @throws NOT_FOUND subscription, ALREADY_EXISTS */
  createSnapshot(snapshot: Snapshot, subscription: string): Promise<StoredSnapshot>;
  /** @throws NOT_FOUND */
  updateSnapshot(snapshot: Snapshot): Promise<void>;
  /** @throws NOT_FOUND */
  deleteSnapshot(name: string): Promise<void>;
  snapshot(name: string): Promise<StoredSnapshot | undefined>;
  listSnapshots(page: PageRequest): Promise<Page<StoredSnapshot>>;
  /** Restores the acked state; all leases end. @throws NOT_FOUND, FAILED_PRECONDITION another topic's snapshot */
  seekSnapshot(subscription: string, snapshot: string): Promise<void>;
  /** Summed over partitions. @throws NOT_FOUND */
  stats(subscription: string): Promise<SubscriptionStats>;

  /** A small durable table for what is not a message: sessions, routes, schemas, policies, jobs. */
  table<T>(name: string): Table<T>;
  /** What the MQTT servers on this store share; once per process. */
  mqttState(limits: MqttStateLimits): MqttState;
  /**
   * Calls back when a topic or subscription of this name was created, changed or deleted, on whatever node. Undefined:
   * word from other nodes was lost for a while, so any of them may have changed.
   */
  onCatalogChange(changed: (name: string | undefined) => void): () => void;
  /**
   * The time that publish times, `activeMs` and due times are in. Whoever compares with them asks for it: a node's own
   * clock may be wrong, and would let go of what others still need.
   */
  nowMs(): Promise<number>;
  /** Makes one real durable write. Never throws: a failure is an answer. */
  health(): Promise<StoreHealth>;
  counters(): StoreCounters;
  /** Lets writes in flight finish. */
  close(): Promise<void>;
}

export interface LogRef {
  /** Internal and never reused: a topic that is deleted and made again has another. */
  readonly topicId: string;
  readonly partition: number; // 0..partitions-1
}

export interface StoredTopic {
  readonly topic: Topic;
  readonly topicId: string;
  readonly partitions: number;
}

export interface StoredSubscription {
  readonly subscription: Subscription;
  /** Internal and never reused. */
  readonly subscriptionId: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly activeMs: number;
}

export interface StoredSnapshot {
  readonly snapshot: Snapshot;
  readonly topicId: string;
}

/** Names that start with `prefix`, in order, after `after`. */
export interface PageRequest {
  readonly prefix: string;
  readonly after?: string;
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly more: boolean;
}

export interface Appended {
  readonly firstOffset: number;
  readonly publishMs: number;
  readonly duplicate: boolean;
}

export interface SubscriptionPartition {
  readonly subscription: string; // its name
  readonly partition: number;
}

export interface LeaseRequest {
  readonly messagesMax: number; // fresh and redelivered together
  readonly ackDeadlineMs: number;
  readonly retry: RetryPolicy | undefined;
  /** Hands out only due messages whose new attempt would be at least this, and nothing fresh (dead-letter sweep). */
  readonly attemptMin?: number;
  /** What the caller read from the cursor on. Absent: nothing fresh is handed out. */
  readonly fresh?: FreshRange;
  /** Attempt counts survive a crash; wanted where a dead-letter policy counts them. */
  readonly keepAttempts: boolean;
  /** Exactly-once: what survives an acknowledgement survives this lease too. Else a failover may forget it. */
  readonly durable?: boolean;
}

/**
 * `count` consecutive offsets from `from` on, which the caller has evaluated. Nothing fresh is handed out when the
 * cursor has moved since, or when the log is of another generation: the grant tells what they are now.
 */
export interface FreshRange {
  /** Of the batches that were evaluated, as they came from `read`; absent: unchecked. */
  readonly generation?: string;
  readonly from: number;
  readonly count: number;
  /** 1 = the filter rejects it: it counts as acked and is never handed out. */
  readonly skip?: Uint8Array;
  /** Lane of each message; absent when the subscription is not ordered. */
  readonly lanes?: Uint32Array;
}

export interface LeaseGrant {
  readonly epoch: number;
  /**
   * The history that the log has now; absent where it has only one. A failover of the store may forget the end of a log
   * and use its offsets again: for messages whose append was never confirmed, but that somebody may have read. Then
   * another generation begins, and what was read of an earlier one says nothing about the offsets of this grant.
   */
  readonly generation?: string;
  /** First offset never handed out. */
  readonly cursor: number;
  /** The offset that the next append gets. */
  readonly head: number;
  /** When the next message becomes due again; undefined when none is waiting for that. May be in the past. */
  readonly nextDueMs: number | undefined;
  /** The store looks at so much at a time, and it has not looked at everything that is due: ask again. */
  readonly more?: boolean;
  readonly blocks: readonly LeasedBlock[];
}

/** Messages handed out together; index i of a `LeaseRef` is the position in `offsets`. */
export interface LeasedBlock {
  readonly block: number;
  readonly offsets: readonly number[]; // ascending
  /** Per message: 1 on the first delivery, then 1 + nacks + expiries. */
  readonly attempts: readonly number[];
  readonly deadlineMs: number;
}

/** One delivery of one message. An ack id carries exactly this. */
export interface LeaseRef {
  readonly epoch: number;
  readonly block: number;
  readonly index: number;
  readonly offset: number;
}

export interface SettleOptions {
  /** Exactly-once: refuse after the deadline, and refuse to ack ahead of an earlier message of the lane. */
  readonly strict: boolean;
}

export interface NackOptions extends SettleOptions {
  readonly retry: RetryPolicy | undefined;
  /** False: the message was never really tried (a reply that grew too large): no backoff, the attempt is not counted. */
  readonly counted: boolean;
}

/**
 * ok: done. stale: the reference no longer (or never) held the message, nothing changed. unordered: strict only; an
 * earlier message of the lane is still unacked, nothing changed.
 */
export type Outcome = 'ok' | 'stale' | 'unordered';

export interface SubscriptionStats {
  /** Not yet acked, handed out or not. Messages that a filter will reject count until they are looked at. */
  readonly backlog: number;
  /** Handed out and not settled. */
  readonly outstanding: number;
  /** When the oldest unacked message was published; undefined when there is none. */
  readonly oldestUnackedMs: number | undefined;
  /** Packed size of the backlog; messages acked out of order are taken at the mean size. */
  readonly bytes: number;
}

export interface Watermarks {
  readonly first: number; // oldest offset still kept
  readonly head: number;
  /** Packed size of the whole log. */
  readonly bytes: number;
  readonly subscriptions: readonly { readonly name: string; readonly firstUnacked: number }[];
  readonly snapshots: readonly { readonly name: string; readonly firstUnacked: number }[];
}

export interface Table<T> {
  get(key: string): Promise<T | undefined>;
  /** Durable on return. */
  put(key: string, value: T): Promise<void>;
  delete(key: string): Promise<void>;
  list(page: PageRequest): Promise<Page<{ readonly key: string; readonly value: T }>>;
}

export interface StoreHealth {
  readonly writable: boolean;
  readonly level: DurabilityLevel;
  /** What an acknowledgement is worth, in plain words. */
  readonly durability: string;
  /** When not writable: what is wrong and what to do. */
  readonly problem?: string;
}

/**
 * fsynced: on disk before the acknowledgement. delayed: on disk a moment later, a crash of the machine or the server may
 * take that moment with it. memory: gone with the server. unknown: the server does not tell.
 */
export type DurabilityLevel = 'fsynced' | 'delayed' | 'memory' | 'unknown';

export interface StoreCounters {
  readonly commits: number;
  readonly commitFailures: number;
  readonly records: number;
  /** Appends and settlements that wait for the next commit. */
  readonly queued: number;
  readonly commitMs: number; // sum, for a mean
  /** Leases refused because `outstandingMax` or `parkedMax` was reached. */
  readonly leaseLimits: number;
  readonly bytesOnDisk: number;
  /** Connections to the store's servers that were lost; of a store in this process this and the next three are 0. */
  readonly linkLosses: number;
  /** Commands that they did not answer in time. */
  readonly linkTimeouts: number;
  /** Calls that one server of a cluster sent on to another. */
  readonly linkRedirections: number;
  /** Calls that wait for a server to come back. */
  readonly linkWaiting: number;
}
