import { type Batch, packRecords } from '../../domain/batch.ts';
import type { LogRef } from '../store.ts';
import { type Environment, type PartKey, staged, under } from './environment.ts';

/** f64 publishMs, f64 bytes of the log before this batch, u32 count; the packed records follow. */
const headerBytes = 20;

export interface BatchHeader {
  readonly publishMs: number;
  readonly bytesBefore: number;
  readonly count: number;
  readonly bytes: number;
}

/** What is read of a log when nothing of it is in memory. */
export interface LogEnds {
  readonly first: number;
  readonly head: number;
  readonly lastMs: number;
  /** Packed bytes ever appended. */
  readonly totalBytes: number;
}

/**
 * The batches of one log, as they lie in LMDB under the offset of their first message. Offsets are dense, so the batch
 * that holds an offset is the last one that starts at or before it.
 */
export class StoredBatches {
  readonly #env: Environment;
  readonly #ref: LogRef;

  constructor(env: Environment, ref: LogRef) {
    this.#env = env;
    this.#ref = ref;
  }

  /** The end of a log tells its head; of one that was trimmed empty, the ends that `stageEnds` kept. */
  ends(): LogEnds {
    const { topicId, partition } = this.#ref;
    const range = under<PartKey>([topicId, partition]);
    const kept = this.#env.meta.get(['log', topicId, partition]) as LogEnds | undefined;
    const [last] = this.#env.log.getKeys({ start: range.end, end: range.start, reverse: true, limit: 1 });
    if (!last) return kept ? { ...kept, first: kept.head } : { first: 1, head: 1, lastMs: 0, totalBytes: 0 };
    const [first] = this.#env.log.getKeys({ ...range, limit: 1 });
    const { publishMs, bytesBefore, bytes, count } = this.header(last[2]);
    return { first: first![2], head: last[2] + count, lastMs: publishMs, totalBytes: bytesBefore + bytes };
  }

  /** Keeps the ends for when no batch is left that tells them. */
  stageEnds(ends: LogEnds): void {
    staged(this.#env.meta.put(['log', this.#ref.topicId, this.#ref.partition], ends));
  }

  /** @returns packed bytes. */
  stageBatch(firstOffset: number, records: readonly Uint8Array[], publishMs: number, bytesBefore: number): number {
    const value = packRecords(records, headerBytes);
    value.writeDoubleBE(publishMs, 0);
    value.writeDoubleBE(bytesBefore, 8);
    value.writeUInt32BE(records.length, 16);
    staged(this.#env.log.put(this.#key(firstOffset), value));
    return value.length - headerBytes;
  }

  stageRemoval(firstOffset: number): void {
    staged(this.#env.log.remove(this.#key(firstOffset)));
  }

  /** First offset of the batch that holds `offset`, which must be kept. */
  holding(offset: number): number {
    const range = { start: this.#key(offset), end: this.#key(0), reverse: true, limit: 1 };
    for (const [, , first] of this.#env.log.getKeys(range)) if (offset < first + this.header(first).count) return first;
    // Never taken for "it was trimmed": whoever reads would pass messages over that are there.
    throw new Error(`offset ${offset} of log ${this.#ref.topicId}/${this.#ref.partition} is not kept`);
  }

  header(firstOffset: number): BatchHeader {
    const value = this.#env.log.getBinaryFast(this.#key(firstOffset))!;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    return {
      publishMs: view.getFloat64(0),
      bytesBefore: view.getFloat64(8),
      count: view.getUint32(16),
      bytes: value.length - headerBytes,
    };
  }

  /** Batches from `firstOffset`, which starts one, up to `head`; at least one, then no more once `bytesMax` is reached. */
  read(firstOffset: number, head: number, bytesMax: number): Batch[] {
    const batches: Batch[] = [];
    let bytes = 0;
    for (const { key, value } of this.#env.log.getRange({ start: this.#key(firstOffset), end: this.#key(head) })) {
      const batch = batchOf(key[2], value);
      batches.push(batch);
      bytes += batch.bytes.length;
      if (bytes >= bytesMax) break;
    }
    return batches;
  }

  #key(offset: number): PartKey {
    return [this.#ref.topicId, this.#ref.partition, offset];
  }
}

function batchOf(firstOffset: number, value: Buffer): Batch {
  return {
    firstOffset,
    count: value.readUInt32BE(16),
    publishMs: value.readDoubleBE(0),
    bytes: value.subarray(headerBytes),
  };
}
