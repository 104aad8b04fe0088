import { randomBytes } from 'node:crypto';
import type { Batch } from '../../domain/batch.ts';
import type { Snapshot } from '../../domain/snapshot.ts';
import type { Subscription } from '../../domain/subscription.ts';
import type { Topic } from '../../domain/topic.ts';
import type {
  Appended,
  LeaseGrant,
  LeaseRef,
  LeaseRequest,
  LogRef,
  MqttState,
  MqttStateLimits,
  NackOptions,
  Outcome,
  Page,
  PageRequest,
  SettleOptions,
  Store,
  StoreCounters,
  StoredSnapshot,
  StoredSubscription,
  StoredTopic,
  StoreHealth,
  SubscriptionPartition,
  SubscriptionStats,
  Table,
  Watermarks,
} from '../store.ts';
import { Backlog } from './backlog.ts';
import { Catalog } from './catalog.ts';
import { CatalogChanges } from './catalog-changes.ts';
import { CatalogEdits } from './catalog-edits.ts';
import { type Connection, type LinkOptions, openLink } from './connection.ts';
import { DurabilityReader } from './durability.ts';
import { Keys } from './keys.ts';
import { Logs } from './log.ts';
import { PlacedAmongFewer, type WriteLimits } from './log-writer.ts';
import { LogWriters } from './log-writers.ts';
import { RedisMqttState } from './mqtt-state.ts';
import { isNotFound } from './naming.ts';
import { Readers } from './readers.ts';
import { SubscriptionStates } from './subscription-state.ts';
import { Subscriptions } from './subscriptions.ts';
import { RedisTable } from './table.ts';
import { Topics } from './topics.ts';
import { Trimming } from './trimming.ts';

export interface RedisStoreOptions {
  readonly url: string;
  /** Sets deployments on one server apart. */
  readonly prefix: string;
  readonly link: LinkOptions;
  readonly limits?: Partial<WriteLimits>;
}

const writeLimits: WriteLimits = {
  batchBytesMax: 256 * 1024,
  commitBytesMax: 8 * 1024 * 1024,
  commitAppendsMax: 5000,
  queuedBytesMax: 64 * 1024 * 1024,
  commitDeadlineMs: 3000,
};

/** How long the first subscription to a channel may take. */
const hearsWithinMs = 5000;
/** Logs that one look for a dedupe key asks at a time. */
const forgetLogsMax = 100;

/**
 * The store that many nodes share. Nothing that counts is in memory: any node serves any request, and what a node was
 * doing when it died is over at its deadlines (I11).
 * @throws Error one sentence without a password: the URL cannot be read, or nothing there answers as it should.
 */
export async function openRedisStore({ url, prefix, link: options, limits }: RedisStoreOptions): Promise<Store> {
  const link = await openLink(url, options);
  try {
    const store = new RedisStore(link, new Keys(prefix), { ...writeLimits, ...limits });
    await store.opened();
    return store;
  } catch (error) {
    await link.close();
    throw error;
  }
}

class RedisStore implements Store {
  readonly #link: Connection;
  readonly #keys: Keys;
  readonly #catalog: Catalog;
  readonly #changes: CatalogChanges;
  readonly #topics: Topics;
  readonly #readers: Readers;
  readonly #logs: Logs;
  readonly #writers: LogWriters;
  readonly #trimming: Trimming;
  readonly #subscriptions: Subscriptions;
  readonly #backlog: Backlog;
  readonly #durability: DurabilityReader;
  #closed: Promise<void> | undefined;

  constructor(link: Connection, keys: Keys, limits: WriteLimits) {
    const node = newId();
    const states = new SubscriptionStates(link, keys);
    this.#link = link;
    this.#keys = keys;
    this.#catalog = new Catalog(link, keys);
    this.#changes = new CatalogChanges(link, keys.catalogChannel, node);
    this.#logs = new Logs(link, keys);
    this.#writers = new LogWriters(link, keys, node, limits);
    this.#trimming = new Trimming(this.#catalog, this.#logs, states);
    this.#subscriptions = new Subscriptions(link, keys, this.#catalog);
    this.#backlog = new Backlog(this.#catalog, this.#logs, this.#subscriptions);
    this.#durability = new DurabilityReader(link);
    const edits = new CatalogEdits(link, keys, node);
    const changed = (names: readonly string[]) => this.#changes.tell(names);
    const nowMs = () => this.nowMs();
    const parts = { catalog: this.#catalog, edits, logs: this.#logs, states, newId, nowMs, changed };
    this.#topics = new Topics(parts);
    this.#readers = new Readers(parts);
    this.#changes.listen((name) => this.#subscriptions.forget(name));
  }

  /** Resolves when changes of other nodes are heard and it is known what an acknowledgement is worth. */
  async opened(): Promise<void> {
    await Promise.all([this.#hearsOthers(), this.#durability.read()]);
    this.#link.onConnect(() => void this.#durability.read().catch(() => undefined)); // `health` says what is wrong
  }

  // Names.

  createTopic(topic: Topic, partitions = 1): Promise<StoredTopic> {
    return this.#topics.create(topic, partitions);
  }

  updateTopic(topic: Topic): Promise<void> {
    return this.#topics.update(topic);
  }

  setPartitions(topic: string, partitions: number): Promise<void> {
    return this.#topics.setPartitions(topic, partitions);
  }

  deleteTopic(name: string): Promise<void> {
    return this.#topics.delete(name);
  }

  topic(name: string): Promise<StoredTopic | undefined> {
    return this.#catalog.topic(name);
  }

  listTopics(page: PageRequest): Promise<Page<StoredTopic>> {
    return this.#catalog.listTopics(page);
  }

  listLogs(): Promise<readonly LogRef[]> {
    return this.#topics.listLogs();
  }

  createSubscription(subscription: Subscription): Promise<StoredSubscription> {
    return this.#readers.createSubscription(subscription);
  }

  updateSubscription(subscription: Subscription): Promise<void> {
    return this.#readers.updateSubscription(subscription);
  }

  touchSubscription(name: string, activeMs: number): Promise<void> {
    return this.#readers.touchSubscription(name, activeMs);
  }

  deleteSubscription(name: string): Promise<void> {
    return this.#readers.deleteSubscription(name);
  }

  subscription(name: string): Promise<StoredSubscription | undefined> {
    return this.#catalog.subscription(name);
  }

  listSubscriptions(page: PageRequest): Promise<Page<StoredSubscription>> {
    return this.#catalog.listSubscriptions(page);
  }

  subscriptionsOfTopic(topicId: string): Promise<readonly string[]> {
    return this.#catalog.readersOf('subscriptions', topicId);
  }

  snapshotsOfTopic(topicId: string): Promise<readonly string[]> {
    return this.#catalog.readersOf('snapshots', topicId);
  }

  onCatalogChange(changed: (name: string | undefined) => void): () => void {
    return this.#changes.listen(changed);
  }

  // The log.

  async append(log: LogRef, records: readonly Uint8Array[], dedupe?: string, placedAmong = 0): Promise<Appended> {
    try {
      return await this.#writers.append(log, records, dedupe, placedAmong);
    } catch (error) {
      if (error instanceof PlacedAmongFewer) await this.#topics.completeGrowth(log.topicId, error.partitions);
      throw error;
    }
  }

  async forget(log: LogRef | undefined, dedupeKeys: readonly string[]): Promise<void> {
    const logs = log ? [log] : await this.#topics.listLogs();
    for (let i = 0; i < logs.length; i += forgetLogsMax) {
      await Promise.all(logs.slice(i, i + forgetLogsMax).map((it) => this.#logs.forget(it, dedupeKeys)));
    }
  }

  forgetBefore(log: LogRef, beforeMs: number): Promise<void> {
    return this.#logs.forgetBefore(log, beforeMs);
  }

  /** Both are sent in this turn, in this order; see `Logs.generation`. */
  async read(log: LogRef, fromOffset: number, bytesMax: number): Promise<readonly Batch[]> {
    const [generation, batches] = await Promise.all([
      this.#logs.generation(log),
      this.#logs.read(log, fromOffset, bytesMax),
    ]);
    return batches.map((batch) => ({ ...batch, generation }));
  }

  offsetAt(log: LogRef, timeMs: number): Promise<number> {
    return this.#logs.offsetAt(log, timeMs);
  }

  async trim(log: LogRef, beforeOffset: number): Promise<void> {
    await this.#trimming.trim(log, beforeOffset);
    await this.#topics.dropOrphan(log.topicId);
  }

  /** A deleted topic's log that is gone: perhaps somebody died while dropping its topic, and nobody else would look. */
  async watermarks(log: LogRef): Promise<Watermarks> {
    try {
      return await this.#trimming.watermarks(log);
    } catch (error) {
      if (isNotFound(error)) await this.#topics.dropOrphan(log.topicId);
      throw error;
    }
  }

  onWake(log: LogRef, wake: () => void): () => void {
    return this.#link.subscribe(this.#keys.wakeChannel(log), () => wake());
  }

  // Delivery.

  lease(at: SubscriptionPartition, request: LeaseRequest): Promise<LeaseGrant> {
    return this.#subscriptions.use(at, (delivery) => delivery.lease(request));
  }

  ack(at: SubscriptionPartition, refs: readonly LeaseRef[], options: SettleOptions): Promise<Outcome[]> {
    return this.#subscriptions.use(at, (delivery) => delivery.ack(refs, options));
  }

  modifyDeadline(
    at: SubscriptionPartition,
    refs: readonly LeaseRef[],
    ackDeadlineMs: number,
    options: SettleOptions,
  ): Promise<Outcome[]> {
    return this.#subscriptions.use(at, (delivery) => delivery.modifyDeadline(refs, ackDeadlineMs, options));
  }

  nack(at: SubscriptionPartition, refs: readonly LeaseRef[], options: NackOptions): Promise<Outcome[]> {
    return this.#subscriptions.use(at, (delivery) => delivery.nack(refs, options));
  }

  seek(at: SubscriptionPartition, offset: number): Promise<void> {
    return this.#subscriptions.use(at, (delivery) => delivery.seek(offset));
  }

  skipTo(at: SubscriptionPartition, offset: number): Promise<void> {
    return this.#subscriptions.use(at, (delivery) => delivery.skipTo(offset));
  }

  stats(subscription: string): Promise<SubscriptionStats> {
    return this.#backlog.of(subscription);
  }

  // Snapshots.

  createSnapshot(snapshot: Snapshot, subscription: string): Promise<StoredSnapshot> {
    return this.#readers.createSnapshot(snapshot, subscription);
  }

  updateSnapshot(snapshot: Snapshot): Promise<void> {
    return this.#readers.updateSnapshot(snapshot);
  }

  deleteSnapshot(name: string): Promise<void> {
    return this.#readers.deleteSnapshot(name);
  }

  snapshot(name: string): Promise<StoredSnapshot | undefined> {
    return this.#catalog.snapshot(name);
  }

  listSnapshots(page: PageRequest): Promise<Page<StoredSnapshot>> {
    return this.#catalog.listSnapshots(page);
  }

  seekSnapshot(subscription: string, snapshot: string): Promise<void> {
    return this.#subscriptions.restore(subscription, snapshot);
  }

  // The rest.

  table<T>(name: string): Table<T> {
    return new RedisTable<T>(name, this.#link, this.#keys);
  }

  mqttState(limits: MqttStateLimits): MqttState {
    return new RedisMqttState({ link: this.#link, prefix: this.#keys.prefix, limits });
  }

  /** Of a cluster any server's: their operator keeps their clocks together, as scripts on each of them use their own. */
  async nowMs(): Promise<number> {
    const given = this.#link.now();
    if (given !== '') return Number(given);
    const [seconds, micros] = ((await this.#link.command('TIME')) as Buffer[]).map(Number);
    return seconds! * 1000 + Math.floor(micros! / 1000);
  }

  async health(): Promise<StoreHealth> {
    try {
      await this.#writeToEachMaster();
      const { level, words } = await this.#durability.read();
      return { writable: true, level, durability: words };
    } catch (error) {
      const { level, words } = this.#durability.last;
      return { writable: false, level, durability: words, problem: (error as Error).message };
    }
  }

  /** A topic lies on one of them, so each has to take writes. */
  async #writeToEachMaster(): Promise<void> {
    const numbers = this.#link.oneForEachServer((number) => this.#keys.table(`health/${number}`, ''));
    await Promise.all(numbers.map((number) => this.table(`health/${number}`).put('checked', this.#link.shown)));
  }

  counters(): StoreCounters {
    const { commits, failures, records, queued, totalMs } = this.#writers.counters();
    const { losses, timeouts, redirections, waiting } = this.#link.linkCounters();
    return {
      commits,
      commitFailures: failures,
      records,
      queued,
      commitMs: totalMs,
      leaseLimits: this.#subscriptions.limitHits,
      bytesOnDisk: this.#durability.bytesOnDisk,
      linkLosses: losses,
      linkTimeouts: timeouts,
      linkRedirections: redirections,
      linkWaiting: waiting,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#writers.close().then(() => this.#link.close());
    return this.#closed;
  }

  async #hearsOthers(): Promise<void> {
    const { shown } = this.#link;
    const text = `The Redis store ${shown} cannot be used: its channels cannot be listened to; allow this user all channels under the prefix.`;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(text)), hearsWithinMs);
    });
    await Promise.race([this.#changes.heard(), tooLate]).finally(() => clearTimeout(timer));
  }
}

/** Never the same twice, whatever a failover forgets: a counter in Redis could go back. */
function newId(): string {
  return randomBytes(9).toString('base64url');
}
