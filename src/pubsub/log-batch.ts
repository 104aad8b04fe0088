import type { Batch } from '../domain/batch.ts';

const lengthBytes = 4;

/** A batch of the log with its records at hand by offset; see `domain/batch.ts` for the layout. */
export class LogBatch {
  readonly firstOffset: number;
  /** First offset after the batch. */
  readonly endOffset: number;
  readonly publishMs: number;
  readonly generation: string | undefined;
  readonly #bytes: Buffer;
  /** Where each record starts, and one more for the end: found on first use. */
  #starts: Uint32Array | undefined;

  constructor({ firstOffset, count, publishMs, bytes, generation }: Batch) {
    this.firstOffset = firstOffset;
    this.endOffset = firstOffset + count;
    this.publishMs = publishMs;
    this.generation = generation;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  holds(offset: number): boolean {
    return offset >= this.firstOffset && offset < this.endOffset;
  }

  /** A view, not a copy: it keeps the whole batch in memory for as long as it is held. */
  record(offset: number): Buffer {
    const starts = this.#index();
    const at = offset - this.firstOffset;
    return this.#bytes.subarray(starts[at]! + lengthBytes, starts[at + 1]!);
  }

  recordBytes(offset: number): number {
    const starts = this.#index();
    const at = offset - this.firstOffset;
    return starts[at + 1]! - starts[at]! - lengthBytes;
  }

  #index(): Uint32Array {
    if (this.#starts) return this.#starts;
    const count = this.endOffset - this.firstOffset;
    const starts = new Uint32Array(count + 1);
    for (let i = 0; i < count; i++) starts[i + 1] = starts[i]! + lengthBytes + this.#bytes.readUInt32BE(starts[i]!);
    this.#starts = starts;
    return starts;
  }
}

interface Starting {
  readonly firstOffset: number;
}

/** How many of `sorted` start at or before `offset`. */
export function indexAfter(sorted: readonly Starting[], offset: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.firstOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The last of `sorted` that starts at or before `offset`. */
export function lastStarting<T extends Starting>(sorted: readonly T[], offset: number): T | undefined {
  return sorted[indexAfter(sorted, offset) - 1];
}
