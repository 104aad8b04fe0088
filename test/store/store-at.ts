import { unpackRecords } from '../../src/domain/batch.ts';
import type { LinkOptions } from '../../src/store/redis/connection.ts';
import type { WriteLimits } from '../../src/store/redis/log-writer.ts';
import { openRedisStore } from '../../src/store/redis/redis-store.ts';
import type { LogRef, Store } from '../../src/store/store.ts';
import { freshPrefix } from '../support/redis-under-test.ts';

export interface StoreAtOptions {
  readonly prefix?: string;
  readonly link?: LinkOptions;
  readonly limits?: Partial<WriteLimits>;
}

export const topicName = 'projects/p/topics/t';

/** A store as a node has it: real time, short bounds, so that a test of what happens at them is short. */
export function storeAt(url: string, { prefix = freshPrefix(), link, limits }: StoreAtOptions = {}): Promise<Store> {
  return openRedisStore({
    url,
    prefix,
    link: { timeoutMs: 1000, ...link },
    limits: { commitDeadlineMs: 3000, ...limits },
  });
}

/** One more topic, with this many partitions; its first log. */
export async function makeLog(store: Store, name = topicName, partitions = 1): Promise<LogRef> {
  const { topicId } = await store.createTopic({ name, labels: {} }, partitions);
  return { topicId, partition: 0 };
}

/** Everything that is in a log, in order; its offsets have no gap. */
export async function contentOf(store: Store, log: LogRef): Promise<string[]> {
  const found: string[] = [];
  const { first, head } = await store.watermarks(log);
  for (let offset = first; offset < head; ) {
    for (const batch of await store.read(log, offset, 1_000_000)) {
      if (batch.firstOffset !== offset) throw new Error(`a batch starts at ${batch.firstOffset}, not at ${offset}`);
      found.push(...unpackRecords(batch).map((record) => Buffer.from(record).toString()));
      offset += batch.count;
    }
  }
  return found;
}

/** Another process gives no event to wait for. */
export async function eventually(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1500; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('It never came true.');
}
