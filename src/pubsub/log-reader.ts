import type { LogRef, Store } from '../store/store.ts';
import type { PubSubBounds } from './bounds.ts';
import { LogBatch } from './log-batch.ts';
import { LogCache } from './log-cache.ts';

/** An offset names a message within one generation of its log (`LeaseGrant.generation`). */
export interface LogPosition {
  readonly offset: number;
  readonly generation: string | undefined;
}

/**
 * Reads logs for every subscription of the node: a batch is fetched from the store once, however many subscriptions are
 * woken by it.
 */
export class LogReader {
  readonly #store: Store;
  readonly #readBytesMax: number;
  readonly #cache: LogCache;
  /** Fetches under way, by log and offset: whoever asks for the same joins. */
  readonly #fetching = new Map<string, Promise<LogBatch | undefined>>();
  #hits = 0;
  #fetches = 0;

  constructor(store: Store, bounds: PubSubBounds) {
    this.#store = store;
    this.#readBytesMax = bounds.logReadBytesMax;
    this.#cache = new LogCache(bounds.logCacheBytesMax);
  }

  counters() {
    return {
      logCacheBytes: this.#cache.bytes,
      logCacheHits: this.#hits,
      logCacheEvictions: this.#cache.evictions,
      logFetches: this.#fetches,
    };
  }

  /** The batch that holds the offset, if it is at hand. */
  cached(log: LogRef, { offset, generation }: LogPosition): LogBatch | undefined {
    const batch = this.#cache.find(keyOf(log, generation), offset);
    if (batch) this.#hits++;
    return batch;
  }

  /**
   * The batch that holds the offset, or the next one that is still kept; undefined at the head. It may be of another
   * generation than the one that was asked for, and tells which.
   */
  fetch(log: LogRef, { offset, generation }: LogPosition): Promise<LogBatch | undefined> {
    const key = `${keyOf(log, generation)}/${offset}`;
    const underWay = this.#fetching.get(key);
    if (underWay) return underWay;
    const fetch = this.#fetch(log, offset).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetch);
    return fetch;
  }

  async #fetch(log: LogRef, offset: number): Promise<LogBatch | undefined> {
    this.#fetches++;
    const batches = (await this.#store.read(log, offset, this.#readBytesMax)).map((batch) => new LogBatch(batch));
    for (const batch of batches) this.#cache.add(keyOf(log, batch.generation), batch);
    return batches[0];
  }
}

function keyOf({ topicId, partition }: LogRef, generation = ''): string {
  return `${topicId}/${partition}/${generation}`;
}
