import { type Database, type Key, open, type RootDatabase } from 'lmdb';

/** A topic id, a partition and an offset; or an owner (a subscription or snapshot id), a partition and a number. */
export type PartKey = [owner: string, partition: number, number: number];

/**
 * The LMDB databases of one data directory. Keys are arrays, which LMDB keeps in order.
 *
 * `overlappingSync: false` is what makes an awaited write survive a power cut: measured, 0 losses in 30 simulated
 * cuts; with lmdb's default 2 of 39 lost or corrupted data (ARCHITECTURE §3).
 */
export interface Environment {
  readonly root: RootDatabase;
  /** [topicId, partition, firstOffset] → a batch, see `log.ts`. */
  readonly log: Database<Buffer, PartKey>;
  /** [kind, name…] → topics, subscriptions, snapshots and their indexes. */
  readonly catalog: Database<unknown, string[]>;
  /** [owner, partition] → how far a subscription or snapshot is. */
  readonly progress: Database<Progress, [owner: string, partition: number]>;
  /** [owner, partition, chunk] → 512 bytes of `AckedSet`. */
  readonly acked: Database<Buffer, PartKey>;
  /** [subscriptionId, partition, offset] → attempt number above 1. */
  readonly attempts: Database<number, PartKey>;
  /** [dedupe key, topicId, partition] → where the append went. */
  readonly dedupe: Database<Deduped, [key: string, topicId: string, partition: number]>;
  /** [table, key] → value. */
  readonly tables: Database<unknown, [table: string, key: string]>;
  /** Counters and facts about the directory itself. */
  readonly meta: Database<unknown, (string | number)[]>;
}

export interface Progress {
  readonly watermark: number;
  /** Counts seeks: a reference from before a seek is void. */
  readonly epoch: number;
}

export interface Deduped {
  readonly firstOffset: number;
  readonly publishMs: number;
  readonly writtenMs: number;
}

/** Raised when what is on disk changes so that an older Headwater could not read it. */
const format = 1;

/** @throws Error when the directory was written by a newer Headwater. */
export function openEnvironment(path: string): Environment {
  if (!process.listeners('unhandledRejection').includes(letFailedCommitsGo)) {
    process.on('unhandledRejection', letFailedCommitsGo);
  }
  const root = open({ path, overlappingSync: false, maxDbs: 16, cache: false });
  const meta = root.openDB<unknown, (string | number)[]>({ name: 'meta' });
  const found = (meta.get(['format']) as number | undefined) ?? format;
  if (found > format) {
    throw new Error(
      `The data directory ${path} has format ${found}, this Headwater reads up to ${format}: use the newer release.`,
    );
  }
  meta.putSync(['format'], format);
  return {
    root,
    meta,
    log: root.openDB({ name: 'log', encoding: 'binary' }),
    catalog: root.openDB({ name: 'catalog' }),
    progress: root.openDB({ name: 'progress' }),
    acked: root.openDB({ name: 'acked', encoding: 'binary' }),
    attempts: root.openDB({ name: 'attempts' }),
    dedupe: root.openDB({ name: 'dedupe' }),
    tables: root.openDB({ name: 'tables' }),
  };
}

/** The range of keys that start with `prefix`. */
export function under<K extends Key[]>(prefix: readonly Key[]): { start: K; end: K } {
  // A buffer of one 0xff byte sorts after every string and number in LMDB's key order.
  return { start: [...prefix] as unknown as K, end: [...prefix, Buffer.from([0xff])] as unknown as K };
}

/**
 * A write inside a transaction that is being assembled. Whether it reached the disk is told by the transaction's own
 * promise; the one that lmdb makes for a write would otherwise end the process when a disk is full.
 */
export function staged(write: Promise<unknown>): void {
  write.catch(() => undefined);
}

/**
 * When a transaction fails, lmdb 3.5 also rejects a promise that it hands to nobody. Node would end the process for it;
 * whoever wrote has been told by then, so that one is let go. Any other unhandled rejection is a bug and still ends it.
 */
function letFailedCommitsGo(reason: unknown): void {
  if (reason instanceof Error && 'commitError' in reason) return;
  throw reason;
}
