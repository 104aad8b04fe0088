import { indexAfter, type LogBatch, lastStarting } from './log-batch.ts';

/** Neighbouring batches of one log: the unit that is kept and let go. */
interface Segment {
  readonly key: string;
  readonly batches: LogBatch[];
  readonly firstOffset: number;
  endOffset: number;
  bytes: number;
}

/** What an entry costs besides its bytes: objects, index, map entries. */
const batchOverheadBytes = 256;
/** A segment grows up to this part of the cache, so that letting one go frees little; a large batch is one by itself. */
const segmentPart = 1 / 16;
const batchPart = 1 / 2;

/**
 * Batches of all logs, the most recently used ones, up to a number of bytes. Keys name a generation of a log: in one,
 * batches never change and no offset is used twice, so nothing here can be out of date. What was trimmed meanwhile, or is
 * of a generation that has passed, is merely not asked for any more.
 */
export class LogCache {
  readonly #bytesMax: number;
  /** In the order of their last use. */
  readonly #segments = new Set<Segment>();
  /** The segments of each log, by offset; they never overlap. */
  readonly #byLog = new Map<string, Segment[]>();
  #bytes = 0;
  #evictions = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** The batch that holds `offset`. */
  find(key: string, offset: number): LogBatch | undefined {
    const segment = lastStarting(this.#byLog.get(key) ?? [], offset);
    if (!segment || offset >= segment.endOffset) return undefined;
    this.#segments.delete(segment);
    this.#segments.add(segment);
    return lastStarting(segment.batches, offset);
  }

  add(key: string, batch: LogBatch): void {
    const bytes = batch.byteLength + batchOverheadBytes;
    if (bytes > this.#bytesMax * batchPart || this.find(key, batch.firstOffset)) return;
    const segments = this.#byLog.get(key) ?? [];
    this.#byLog.set(key, segments);
    const before = lastStarting(segments, batch.firstOffset);
    if (before?.endOffset === batch.firstOffset && before.bytes + bytes <= this.#bytesMax * segmentPart) {
      before.batches.push(batch);
      before.endOffset = batch.endOffset;
      before.bytes += bytes;
    } else this.#insert(segments, key, batch, bytes);
    this.#bytes += bytes;
    this.#evict();
  }

  #insert(segments: Segment[], key: string, batch: LogBatch, bytes: number): void {
    const { firstOffset, endOffset } = batch;
    const segment: Segment = { key, batches: [batch], firstOffset, endOffset, bytes };
    segments.splice(indexAfter(segments, firstOffset), 0, segment);
    this.#segments.add(segment);
  }

  #evict(): void {
    for (const segment of this.#segments) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#segments.delete(segment);
      const segments = this.#byLog.get(segment.key)!;
      segments.splice(segments.indexOf(segment), 1);
      if (segments.length === 0) this.#byLog.delete(segment.key);
      this.#bytes -= segment.bytes;
      this.#evictions += segment.batches.length;
    }
  }
}
