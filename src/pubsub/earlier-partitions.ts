import { dayMs } from '../domain/duration.ts';
import { topicPartitionsMax } from '../domain/partitions.ts';
import { dedupeKeyMsMax } from '../domain/retention.ts';
import type { Store, Table } from '../store/store.ts';

interface Entry {
  readonly notedMs: number;
}

/** Longer than any dedupe key lives: the sweep that lets keys go comes round now and then. */
const keptMs = dedupeKeyMsMax + dayMs;

/**
 * How many partitions topics had before, for as long as a log may remember dedupe keys that were placed by it: a
 * repetition that comes after a growth hashes elsewhere, and has to meet its first all the same (I6).
 *
 * One entry per topic and number, written before the growth, so that whoever sees the topic grown sees it too. The new
 * number is noted as well: should another node grow the topic at the same time, this one may be in use in between.
 */
export class EarlierPartitions {
  readonly #table: Table<Entry>;
  readonly #store: Store;

  constructor(store: Store) {
    this.#table = store.table('earlier-partitions');
    this.#store = store;
  }

  /** The latest first. */
  async of(topicId: string, partitions: number): Promise<readonly number[]> {
    if (partitions === 1) return []; // it cannot have had fewer
    const nowMs = await this.#store.nowMs();
    const fresh = (await this.#entries(topicId)).filter(({ notedMs }) => nowMs - notedMs < keptMs);
    return fresh
      .map((entry) => entry.partitions)
      .filter((noted) => noted < partitions)
      .sort((a, b) => b - a);
  }

  /** To be called before the topic grows. Durable on return. */
  async note(topicId: string, before: number, after: number): Promise<void> {
    const notedMs = await this.#store.nowMs();
    for (const { partitions, ...entry } of await this.#entries(topicId)) {
      if (notedMs - entry.notedMs >= keptMs) await this.#table.delete(keyOf(topicId, partitions));
    }
    for (const partitions of [before, after]) await this.#table.put(keyOf(topicId, partitions), { notedMs });
  }

  /** The topic is gone. */
  async forget(topicId: string): Promise<void> {
    for (const { partitions } of await this.#entries(topicId)) await this.#table.delete(keyOf(topicId, partitions));
  }

  async #entries(topicId: string): Promise<readonly (Entry & { readonly partitions: number })[]> {
    const { items } = await this.#table.list({ prefix: `${topicId}/`, limit: topicPartitionsMax });
    return items.map(({ key, value }) => ({ ...value, partitions: Number(key.slice(topicId.length + 1)) }));
  }
}

function keyOf(topicId: string, partitions: number): string {
  return `${topicId}/${partitions}`;
}
