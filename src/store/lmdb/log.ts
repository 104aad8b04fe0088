import { type Batch, packedBytes, packRecords } from '../../domain/batch.ts';
import { PubSubError } from '../../domain/errors.ts';
import type { Appended, LogRef } from '../store.ts';
import { type Environment, staged, under } from './environment.ts';
import type { CommitPart, GroupCommit } from './group-commit.ts';

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
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: PubSubError) => void;
  firstOffset: number;
}

/** f64 publishMs, f64 bytes of the log before this batch, u32 count; the packed records follow. */
const headerBytes = 20;

/**
 * One partition's log. Appends wait in `#pending` until the next commit packs them, in order, into as few batches as
 * their size allows; offsets are given out when that commit is assembled and stand only when it is on disk.
 */
export class Log implements CommitPart {
  readonly ref: LogRef;
  readonly #env: Environment;
  readonly #commit: GroupCommit;
  readonly #clock: () => number;
  readonly #limits: LogLimits;
  readonly #wakes = new Set<() => void>();
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #staged: Pending[] = [];
  #stagedEnd = { head: 1, lastMs: 0, totalBytes: 0 };
  #head = 1;
  #first = 1;
  #lastMs = 0;
  #totalBytes = 0;
  /** The topic was deleted: what is here is still read, nothing comes. */
  retired = false;
  records = 0;

  constructor(ref: LogRef, env: Environment, commit: GroupCommit, clock: () => number, limits: LogLimits) {
    this.ref = ref;
    this.#env = env;
    this.#commit = commit;
    this.#clock = clock;
    this.#limits = limits;
    this.#load();
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
    return this.#totalBytes - this.#bytesBefore(this.#first);
  }

  append(records: readonly Uint8Array[], dedupe: string | undefined): Promise<Appended> {
    if (this.retired) return Promise.reject(new PubSubError('NOT_FOUND', 'The topic was deleted.'));
    const bytes = packedBytes(records);
    if (this.#pendingBytes + bytes > this.#limits.queuedBytesMax) {
      const text = `More than ${this.#limits.queuedBytesMax} bytes wait for the disk on this topic; try again later.`;
      return Promise.reject(new PubSubError('UNAVAILABLE', text));
    }
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#pending.push({ records, bytes, dedupe, resolve, reject, firstOffset: 0 });
      this.#commit.enlist(this);
    });
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
      totalBytes += this.#stageBatch(appends, firstOffset, head - firstOffset, publishMs, totalBytes);
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
    const batches: Batch[] = [];
    let bytes = 0;
    const start = this.#key(this.#batchHolding(fromOffset) ?? fromOffset);
    for (const { key, value } of this.#env.log.getRange({ start, end: this.#key(this.#head) })) {
      const batch = readBatch(key[2], value);
      batches.push(batch);
      bytes += batch.bytes.length;
      if (bytes >= bytesMax) break;
    }
    return batches;
  }

  /** First offset published at or after `timeMs`; the head when there is none. */
  offsetAt(timeMs: number): number {
    let low = this.#first;
    let high = this.#head;
    while (low < high) {
      const key = this.#batchHolding(Math.floor((low + high) / 2))!;
      const { publishMs, count } = this.#header(key);
      if (publishMs >= timeMs) high = Math.max(key, low);
      else low = key + count;
    }
    return low;
  }

  /** When the message at `offset` was published; undefined past the head. */
  publishMsOf(offset: number): number | undefined {
    if (offset >= this.#head) return undefined;
    const key = this.#batchHolding(Math.max(offset, this.#first));
    return key === undefined ? undefined : this.#header(key).publishMs;
  }

  /** Packed bytes from `offset` to the head, taking the messages of its batch as equally large. */
  bytesFrom(offset: number): number {
    return this.#totalBytes - this.#bytesBefore(offset);
  }

  /**
   * Removes at most `batchesMax` batches that lie wholly before `beforeOffset`; to be called while a commit is
   * assembled, with `trimmed` once that is on disk. @returns the new first offset.
   */
  stageTrim(beforeOffset: number, batchesMax: number): number {
    let first = this.#first; // always the start of a batch
    for (let batches = 0; batches < batchesMax && first < this.#head; batches++) {
      const end = first + this.#header(first).count;
      if (end > beforeOffset) break;
      staged(this.#env.log.remove(this.#key(first)));
      first = end;
    }
    this.#stageFacts();
    return first;
  }

  trimmed(first: number): void {
    this.#first = first;
  }

  /** Keeps the head when no batch is left that tells it. */
  #stageFacts(): void {
    const facts: LogFacts = { head: this.#head, lastMs: this.#lastMs, totalBytes: this.#totalBytes };
    staged(this.#env.meta.put(['log', this.ref.topicId, this.ref.partition], facts));
  }

  #load(): void {
    const { topicId, partition } = this.ref;
    const range = under<[string, number, number]>([topicId, partition]);
    const facts = this.#env.meta.get(['log', topicId, partition]) as LogFacts | undefined;
    if (facts) ({ head: this.#head, lastMs: this.#lastMs, totalBytes: this.#totalBytes } = facts);
    const [last] = this.#env.log.getKeys({ start: range.end, end: range.start, reverse: true, limit: 1 });
    const [first] = this.#env.log.getKeys({ ...range, limit: 1 });
    if (last && last[2] >= this.#head) {
      const header = this.#header(last[2]);
      this.#head = last[2] + header.count;
      this.#lastMs = header.publishMs;
      this.#totalBytes = header.bytesBefore + header.bytes;
    }
    this.#first = first ? first[2] : this.#head;
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

  #stageBatch(
    appends: readonly Pending[],
    firstOffset: number,
    count: number,
    publishMs: number,
    before: number,
  ): number {
    const records = appends.length === 1 ? appends[0]!.records : appends.flatMap((append) => append.records);
    const value = packRecords(records, headerBytes);
    value.writeDoubleBE(publishMs, 0);
    value.writeDoubleBE(before, 8);
    value.writeUInt32BE(count, 16);
    staged(this.#env.log.put(this.#key(firstOffset), value));
    return value.length - headerBytes;
  }

  #stageDedupe({ dedupe, firstOffset }: Pending, publishMs: number): void {
    const { topicId, partition } = this.ref;
    const writtenMs = this.#clock();
    staged(this.#env.dedupe.put([dedupe!, topicId, partition], { firstOffset, publishMs, writtenMs }));
  }

  #key(offset: number): [string, number, number] {
    return [this.ref.topicId, this.ref.partition, offset];
  }

  /** First offset of the batch that holds `offset`, if it is kept. */
  #batchHolding(offset: number): number | undefined {
    if (offset < this.#first || offset >= this.#head) return undefined;
    const range = { start: this.#key(offset), end: this.#key(0), reverse: true, limit: 1 };
    for (const key of this.#env.log.getKeys(range)) return key[2];
    return undefined;
  }

  #bytesBefore(offset: number): number {
    const key = this.#batchHolding(offset);
    if (key === undefined) return this.#totalBytes;
    const { bytesBefore, bytes, count } = this.#header(key);
    return bytesBefore + Math.floor((bytes * (offset - key)) / count);
  }

  #header(key: number): { publishMs: number; bytesBefore: number; count: number; bytes: number } {
    const value = this.#env.log.getBinaryFast(this.#key(key))!;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    return {
      publishMs: view.getFloat64(0),
      bytesBefore: view.getFloat64(8),
      count: view.getUint32(16),
      bytes: value.length - headerBytes,
    };
  }
}

interface LogFacts {
  readonly head: number;
  readonly lastMs: number;
  readonly totalBytes: number;
}

function readBatch(firstOffset: number, value: Buffer): Batch {
  return {
    firstOffset,
    count: value.readUInt32BE(16),
    publishMs: value.readDoubleBE(0),
    bytes: value.subarray(headerBytes),
  };
}
