import { partitionOfKey } from '../domain/partitions.ts';
import type { LogRef } from '../store/store.ts';

/** Where the messages of a topic go, as long as it has this many partitions. */
export class Placement {
  readonly topicId: string;
  readonly logs: readonly LogRef[];
  /** Numbers of partitions that a key may have been placed among before, and still be remembered by a log. */
  readonly earlier: readonly number[];
  /** Of the next batch that has no key. */
  #next = 0;

  constructor(topicId: string, partitions: number, earlier: readonly number[]) {
    this.topicId = topicId;
    this.logs = Array.from({ length: partitions }, (_, partition) => ({ topicId, partition }));
    this.earlier = earlier;
  }

  get partitions(): number {
    return this.logs.length;
  }

  /** The same logs, for the same keys. */
  equals({ topicId, partitions, earlier }: Placement): boolean {
    return topicId === this.topicId && partitions === this.partitions && earlier.join() === this.earlier.join();
  }

  /** @param key undefined: the next partition in turn */
  partitionOf(key: string | undefined): number {
    if (this.partitions === 1) return 0;
    if (key !== undefined) return partitionOfKey(key, this.partitions);
    this.#next = (this.#next + 1) % this.partitions;
    return this.#next;
  }

  /** Other partitions that the key may lie in from before the topic grew, with the number that it was placed among. */
  earlierOf(key: string): readonly { readonly partition: number; readonly among: number }[] {
    const seen = new Set([this.partitionOf(key)]);
    return this.earlier.flatMap((among) => {
      const partition = partitionOfKey(key, among);
      if (seen.has(partition)) return [];
      seen.add(partition);
      return [{ partition, among }];
    });
  }
}
