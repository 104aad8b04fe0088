/** Eight buckets per doubling: a percentile is at most 9 % too high. */
const bucketsPerDoubling = 8;
const bucketCount = 40 * bucketsPerDoubling; // 1 µs to 12 days

/** Durations in fixed memory. */
export class Histogram {
  readonly #buckets = new Float64Array(bucketCount);
  #count = 0;
  #maxMs = 0;

  record(ms: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(1, ms * 1000)) * bucketsPerDoubling);
    this.#buckets[Math.min(bucket, bucketCount - 1)]! += 1;
    this.#count += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** @param share 0..1 @returns an upper bound in ms; 0 when nothing was recorded. */
  quantileMs(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count;
      if (left <= 0) return Math.min(this.#maxMs, 2 ** (bucket / bucketsPerDoubling) / 1000);
    }
    return this.#maxMs;
  }
}
