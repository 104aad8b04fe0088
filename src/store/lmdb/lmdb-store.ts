import { mkdirSync, statfsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Batch } from '../../domain/batch.ts';
import { PubSubError } from '../../domain/errors.ts';
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
  SettleOptions,
  Store,
  StoreCounters,
  StoreHealth,
  SubscriptionPartition,
  SubscriptionStats,
  Table,
  Watermarks,
} from '../store.ts';
import { Catalog, type SnapshotRecord } from './catalog.ts';
import { checkDataFile } from './data-file.ts';
import { type DataLock, lockDataDirectory } from './data-lock.ts';
import { Dedupe } from './dedupe.ts';
import { type Environment, openEnvironment, staged } from './environment.ts';
import { type CommitLimits, GroupCommit } from './group-commit.ts';
import { LmdbAdmin } from './lmdb-admin.ts';
import { LmdbMqttState } from './mqtt-state.ts';
import { type PartitionLimits, Partitions } from './partitions.ts';
import { LmdbTable } from './table.ts';

export type LmdbLimits = CommitLimits & PartitionLimits;

const lmdbLimits: LmdbLimits = {
  commitRetryMs: 200,
  failingMs: 5000,
  batchBytesMax: 256 * 1024,
  commitBytesMax: 8 * 1024 * 1024,
  queuedBytesMax: 64 * 1024 * 1024,
  heldMax: 1_000_000,
  blocksMax: 200_000,
  parkedMax: 100_000,
};

/** Batches that one commit of a trim removes, so that appends never wait long behind it. */
const trimBatchesMax = 512;

/**
 * The embedded store: one process, one directory, one transaction at a time for everything that arrived meanwhile.
 * Logs, acked sets and names are on disk; leases are in memory and end with the process.
 */
export async function openLmdbStore(
  path: string,
  clock: () => number,
  limits: LmdbLimits = lmdbLimits,
): Promise<Store> {
  const directory = resolve(path);
  const lock = await ownDirectory(directory);
  const file = join(directory, 'headwater.mdb');
  try {
    checkDataFile(file);
    return new LmdbStore(directory, lock, openEnvironment(file), clock, limits);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function ownDirectory(directory: string): Promise<DataLock> {
  try {
    mkdirSync(directory, { recursive: true });
    return await lockDataDirectory(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error; // says already what to do
    const text = `The data directory ${directory} cannot be used (${(error as Error).message}): choose another --data-dir, or let this user write there.`;
    throw new Error(text, { cause: error });
  }
}

class LmdbStore extends LmdbAdmin implements Store {
  readonly #directory: string;
  readonly #lock: DataLock;
  readonly #dedupe: Dedupe;

  constructor(directory: string, lock: DataLock, env: Environment, clock: () => number, limits: LmdbLimits) {
    const commit = new GroupCommit((stage) => env.root.batch(stage), limits);
    const catalog = new Catalog(env);
    const partitions = new Partitions(env, catalog, commit, clock, limits, nextLife(env));
    super(env, clock, commit, catalog, partitions);
    this.#directory = directory;
    this.#lock = lock;
    this.#dedupe = new Dedupe(env, commit);
  }

  // The log.

  /** A repetition is recognised before its placement is looked at: its first may be older than a growth. */
  async append(ref: LogRef, records: readonly Uint8Array[], dedupe?: string, placedAmong = 0): Promise<Appended> {
    this.mustBeOpen();
    const log = this.partitions.log(ref);
    return dedupe === undefined
      ? log.append(records, undefined, placedAmong)
      : this.#dedupe.once(ref, dedupe, () => log.append(records, dedupe, placedAmong));
  }

  forget(log: LogRef | undefined, dedupeKeys: readonly string[]): Promise<void> {
    return this.#dedupe.forget(log, dedupeKeys);
  }

  forgetBefore(log: LogRef, beforeMs: number): Promise<void> {
    return this.#dedupe.forgetBefore(log, beforeMs);
  }

  async read(log: LogRef, fromOffset: number, bytesMax: number): Promise<readonly Batch[]> {
    return this.partitions.log(log).read(fromOffset, bytesMax);
  }

  async offsetAt(log: LogRef, timeMs: number): Promise<number> {
    return this.partitions.log(log).offsetAt(timeMs);
  }

  async trim(ref: LogRef, beforeOffset: number): Promise<void> {
    const log = this.partitions.log(ref);
    for (let before = -1; before !== log.first; ) {
      before = log.first;
      await this.commit
        .exec(() => log.stageTrim(beforeOffset, trimBatchesMax))
        .catch((error: unknown) => {
          log.trimFailed(before);
          throw error;
        });
    }
    await this.#dropOrphan(ref.topicId);
  }

  async watermarks(ref: LogRef): Promise<Watermarks> {
    const log = this.partitions.log(ref);
    const subscriptions = this.catalog.subscriptionsOf(ref.topicId).map((name) => {
      return { name, firstUnacked: this.partitions.delivery({ subscription: name, ...ref }).firstUnacked };
    });
    const snapshots = this.catalog.snapshotsOf(ref.topicId).map((name) => {
      const { snapshotId } = this.catalog.snapshot(name)!;
      return { name, firstUnacked: this.env.progress.get([snapshotId, ref.partition])!.watermark };
    });
    return { first: log.first, head: log.head, bytes: log.bytes, subscriptions, snapshots };
  }

  onWake(log: LogRef, wake: () => void): () => void {
    return this.partitions.log(log).onWake(wake);
  }

  // Delivery.

  async lease(subscription: SubscriptionPartition, request: LeaseRequest): Promise<LeaseGrant> {
    return this.partitions.delivery(subscription).lease(request);
  }

  async ack(at: SubscriptionPartition, refs: readonly LeaseRef[], options: SettleOptions): Promise<Outcome[]> {
    return this.partitions.delivery(at).ack(refs, options);
  }

  async modifyDeadline(
    at: SubscriptionPartition,
    refs: readonly LeaseRef[],
    ackDeadlineMs: number,
    options: SettleOptions,
  ): Promise<Outcome[]> {
    return this.partitions.delivery(at).modifyDeadline(refs, ackDeadlineMs, options);
  }

  async nack(at: SubscriptionPartition, refs: readonly LeaseRef[], options: NackOptions): Promise<Outcome[]> {
    return this.partitions.delivery(at).nack(refs, options);
  }

  async seek(subscription: SubscriptionPartition, offset: number): Promise<void> {
    await this.partitions.delivery(subscription).seek(offset);
  }

  async skipTo(subscription: SubscriptionPartition, offset: number): Promise<void> {
    await this.partitions.delivery(subscription).skipTo(offset);
  }

  async stats(subscription: string): Promise<SubscriptionStats> {
    const deliveries = this.partitions.deliveries(subscription);
    const oldest = deliveries.flatMap(({ oldestUnackedMs }) => oldestUnackedMs ?? []);
    return {
      backlog: sum(deliveries.map(({ backlog }) => backlog)),
      outstanding: sum(deliveries.map(({ outstanding }) => outstanding)),
      oldestUnackedMs: oldest.length > 0 ? Math.min(...oldest) : undefined,
      bytes: sum(deliveries.map(({ bytes }) => bytes)),
    };
  }

  // Snapshots.

  async seekSnapshot(subscription: string, snapshot: string): Promise<void> {
    const deliveries = this.partitions.deliveries(subscription);
    const record = this.#snapshotFor(subscription, snapshot);
    await Promise.all(deliveries.map((delivery) => delivery.restore(record.snapshotId)));
  }

  // The rest.

  table<T>(name: string): Table<T> {
    return new LmdbTable<T>(name, this.env, this.commit);
  }

  mqttState(limits: MqttStateLimits): MqttState {
    const { env, commit, clock } = this;
    return new LmdbMqttState({ env, commit, clock, limits, mustBeOpen: () => this.mustBeOpen() });
  }

  async nowMs(): Promise<number> {
    return this.clock();
  }

  async health(): Promise<StoreHealth> {
    const level = 'fsynced';
    const durability = 'fsynced: an acknowledged message is on disk and survives a power cut';
    try {
      this.mustBeOpen();
      await this.commit.exec(() => staged(this.env.meta.put(['health'], this.clock())));
      if (this.commit.failing) throw this.commit.failing;
      return { writable: true, level, durability };
    } catch (error) {
      return { writable: false, level, durability, problem: this.#problem(error as Error) };
    }
  }

  #problem({ message }: Error): string {
    const { bavail, bsize } = statfsSync(this.#directory);
    return (
      `The data directory ${this.#directory} cannot be written: ${message} On its file system ` +
      `${Math.floor((bavail * bsize) / 2 ** 20)} MiB are free; make room or mend the disk, Headwater then goes on by itself.`
    );
  }

  counters(): StoreCounters {
    return {
      commits: this.commit.commits,
      commitFailures: this.commit.failures,
      records: sum(this.partitions.openLogs().map(({ records }) => records)),
      queued: this.commit.waiting,
      commitMs: this.commit.totalMs,
      leaseLimits: sum(this.partitions.openDeliveries().map(({ limitHits }) => limitHits)),
      bytesOnDisk: statSync(join(this.#directory, 'headwater.mdb')).size,
      ...{ linkLosses: 0, linkTimeouts: 0, linkRedirections: 0, linkWaiting: 0 },
    };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.commit.drain();
    await this.env.root.close();
    await this.#lock.release();
  }

  #snapshotFor(subscription: string, snapshot: string): SnapshotRecord {
    const record = this.catalog.snapshot(snapshot);
    if (!record) throw new PubSubError('NOT_FOUND', `There is no snapshot ${snapshot}.`);
    if (record.topicId === this.catalog.subscription(subscription)!.topicId) return record;
    const text = `The snapshot ${snapshot} is of another topic than ${subscription}; seek to one of its own topic.`;
    throw new PubSubError('FAILED_PRECONDITION', text);
  }

  /** A deleted topic's log goes when its last reader has gone and the retention sweep has emptied it. */
  async #dropOrphan(topicId: string): Promise<void> {
    if (!this.catalog.isOrphan(topicId)) return;
    if (this.catalog.subscriptionsOf(topicId).length + this.catalog.snapshotsOf(topicId).length > 0) return;
    const logs = this.partitions.openLogs().filter((log) => log.ref.topicId === topicId);
    if (logs.some((log) => log.first < log.head)) return;
    await this.changeCatalog([], () => {
      this.catalog.stageOrphanRemoval(topicId);
      this.#dedupe.stageForgetTopic(topicId);
      for (const { ref } of logs) staged(this.env.meta.remove(['log', ref.topicId, ref.partition]));
    });
    this.partitions.forgetLogs(topicId);
  }
}

/** Counts the starts of the process on this directory, durably. */
function nextLife(env: Environment): number {
  const life = ((env.meta.get(['life']) as number | undefined) ?? 0) + 1;
  env.meta.putSync(['life'], life);
  return life;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
