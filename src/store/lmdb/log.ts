import { type Batch, packedBytes } from '../../domain/batch.ts';
import { PubSubError } from '../../domain/errors.ts';
import type { Appended, LogRef } from '../store.ts';
import { type Environment, staged } from './environment.ts';
import type { CommitPart, GroupCommit } from './group-commit.ts';
import { StoredBatches } from './stored-batches.ts';

export interface LogLimits {
  /** A batch is closed past this many bytes, so that reading one message never reads much more. */
  readonly batchBytesMax: number;
  /** What one commit takes of one log; the rest waits for the next. */
  readonly commitBytesMax: number;
  /** Bytes that may wait for a commit on one log; past it appends are refused. */
  readonly queuedBytesMax: number;
}

interface Pending {
  readonly records: readonly Uint8Array[];
  readonly bytes: number;
  readonly dedupe: string | undefined;
  readonly placedAmong: number; // 0: not placed by a key
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: PubSubError) => void;
  firstOffset: number;
}

/**
 * One partition's log. Appends wait in `#pending` until the next commit packs them, in order, into as few batches as
 * their size allows; offsets are given out when that commit is assembled and stand only when it is on disk.
 */
export class Log implements CommitPart {
  readonly ref: LogRef;
  readonly #env: Environment;
  readonly #batches: StoredBatches;
  readonly #commit: GroupCommit;
  readonly #clock: () => number;
  readonly #limits: LogLimits;
  readonly #wakes = new Set<() => void>();
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #staged: Pending[] = [];
  #stagedEnd = { head: 1, lastMs: 0, totalBytes: 0 };
  #head: number;
  #first: number;
  #lastMs: number;
  #totalBytes: number;
  /** How many the topic has; an append that was placed among fewer is refused. */
  #partitions = 1;
  /** The topic was deleted: what is here is still read, nothing comes. */
  retired = false;
  records = 0;

  constructor(ref: LogRef, env: Environment, commit: GroupCommit, clock: () => number, limits: LogLimits) {
    this.ref = ref;
    this.#env = env;
    this.#commit = commit;
    this.#clock = clock;
    this.#limits = limits;
    this.#batches = new StoredBatches(env, ref);
    ({
      first: this.#first,
      head: this.#head,
      lastMs: this.#lastMs,
      totalBytes: this.#totalBytes,
    } = this.#batches.ends());
  }

  /** The offset that the next append gets. */
  get head(): number {
    return this.#head;
  }

  /** The oldest offset that is kept. */
  get first(): number {
    return this.#first;
  }

  get bytes(): number {
    return this.bytesFrom(this.#first);
  }

  append(records: readonly Uint8Array[], dedupe: string | undefined, placedAmong: number): Promise<Appended> {
    if (this.retired) return Promise.reject(new PubSubError('NOT_FOUND', 'The topic was deleted.'));
    if (this.#isTooFew(placedAmong)) return Promise.reject(placedAmongFewer());
    const bytes = packedBytes(records);
    if (this.#pendingBytes + bytes > this.#limits.queuedBytesMax) {
      const text = `More than ${this.#limits.queuedBytesMax} bytes wait for the disk on this topic; try again later.`;
      return Promise.reject(new PubSubError('UNAVAILABLE', text));
    }
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#pending.push({ records, bytes, dedupe, placedAmong, resolve, reject, firstOffset: 0 });
      this.#commit.enlist(this);
    });
  }

  /**
   * The topic has so many partitions: what was placed among fewer, and is not on its way to the disk yet, is turned away
   * now, and everything of that kind from now on.
   */
  refusePlacedAmongFewer(partitions: number): void {
    this.#partitions = partitions;
    const refused = this.#pending.filter(({ placedAmong }) => this.#isTooFew(placedAmong));
    if (refused.length === 0) return;
    this.#pending = this.#pending.filter(({ placedAmong }) => !this.#isTooFew(placedAmong));
    for (const { bytes, reject } of refused) {
      this.#pendingBytes -= bytes;
      reject(placedAmongFewer());
    }
  }

  onWake(wake: () => void): () => void {
    const own = () => wake();
    this.#wakes.add(own);
    return () => this.#wakes.delete(own);
  }

  wake(): void {
    for (const wake of this.#wakes) wake();
  }

  stage(): void {
    this.#staged = this.#takePending();
    let head = this.#head;
    let totalBytes = this.#totalBytes;
    const publishMs = Math.max(this.#lastMs, this.#clock());
    for (const appends of this.#inBatches(this.#staged)) {
      const firstOffset = head;
      for (const append of appends) {
        append.firstOffset = head;
        head += append.records.length;
        if (append.dedupe !== undefined) this.#stageDedupe(append, publishMs);
      }
      const records = appends.length === 1 ? appends[0]!.records : appends.flatMap((append) => append.records);
      totalBytes += this.#batches.stageBatch(firstOffset, records, publishMs, totalBytes);
    }
    this.#stagedEnd = { head, lastMs: publishMs, totalBytes };
  }

  committed(): void {
    const staged = this.#staged;
    this.#staged = [];
    this.records += this.#stagedEnd.head - this.#head;
    this.#head = this.#stagedEnd.head;
    this.#lastMs = this.#stagedEnd.lastMs;
    this.#totalBytes = this.#stagedEnd.totalBytes;
    for (const { resolve, firstOffset } of staged) resolve({ firstOffset, publishMs: this.#lastMs, duplicate: false });
    if (this.#pending.length > 0) this.#commit.enlist(this);
    this.wake();
  }

  failed(error: PubSubError): void {
    const failed = this.#staged.concat(this.#pending);
    this.#staged = [];
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const { reject } of failed) reject(error);
  }

  read(fromOffset: number, bytesMax: number): Batch[] {
    if (fromOffset >= this.#head) return [];
    const from = this.#batches.holding(Math.max(fromOffset, this.#first));
    return this.#batches.read(from, this.#head, bytesMax);
  }

  /** First offset published at or after `timeMs`; the head when there is none. */
  offsetAt(timeMs: number): number {
    let low = this.#first;
    let high = this.#head;
    while (low < high) {
      const key = this.#batches.holding(Math.floor((low + high) / 2));
      const { publishMs, count } = this.#batches.header(key);
      if (publishMs >= timeMs) high = key;
      else low = key + count;
    }
    return low;
  }

  /** When the message at `offset` was published; undefined past the head. */
  publishMsOf(offset: number): number | undefined {
    if (this.#first >= this.#head || offset >= this.#head) return undefined;
    return this.#batches.header(this.#batches.holding(Math.max(offset, this.#first))).publishMs;
  }

  /** Packed bytes from `offset` to the head, taking the messages of its batch as equally large. */
  bytesFrom(offset: number): number {
    if (this.#first >= this.#head || offset >= this.#head) return 0;
    const from = Math.max(offset, this.#first);
    const key = this.#batches.holding(from);
    const { bytesBefore, bytes, count } = this.#batches.header(key);
    return this.#totalBytes - bytesBefore - Math.floor((bytes * (from - key)) / count);
  }

  /**
   * Removes at most `batchesMax` batches that lie wholly before `beforeOffset`; to be called while a commit is
   * assembled. Nobody reads them from then on: the commit may be on disk before this process learns of it.
   */
  stageTrim(beforeOffset: number, batchesMax: number): void {
    let first = this.#first; // always the start of a batch
    for (let batches = 0; batches < batchesMax && first < this.#head; batches++) {
      const end = first + this.#batches.header(first).count;
      if (end > beforeOffset) break;
      this.#batches.stageRemoval(first);
      first = end;
    }
    this.#first = first;
    this.#batches.stageEnds({ first, head: this.#head, lastMs: this.#lastMs, totalBytes: this.#totalBytes });
  }

  /** The commit of a trim failed: what was first before it is first again. */
  trimFailed(first: number): void {
    this.#first = first;
  }

  #isTooFew(placedAmong: number): boolean {
    return placedAmong > 0 && placedAmong < this.#partitions;
  }

  #takePending(): Pending[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#pending.length && bytes < this.#limits.commitBytesMax) bytes += this.#pending[count++]!.bytes;
    this.#pendingBytes -= bytes;
    if (count < this.#pending.length) return this.#pending.splice(0, count);
    const all = this.#pending;
    this.#pending = [];
    return all;
  }

  *#inBatches(appends: readonly Pending[]): Generator<Pending[]> {
    let batch: Pending[] = [];
    let bytes = 0;
    for (const append of appends) {
      if (batch.length > 0 && bytes + append.bytes > this.#limits.batchBytesMax) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push(append);
      bytes += append.bytes;
    }
    if (batch.length > 0) yield batch;
  }

  #stageDedupe({ dedupe, firstOffset }: Pending, publishMs: number): void {
    const { topicId, partition } = this.ref;
    const writtenMs = this.#clock();
    staged(this.#env.dedupe.put([dedupe!, topicId, partition], { firstOffset, publishMs, writtenMs }));
  }
}

function placedAmongFewer(): PubSubError {
  return new PubSubError('ABORTED', 'The topic has more partitions by now; publish again.');
}
