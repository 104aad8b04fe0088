import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { RedisServer } from '../support/redis-server.ts';
import { plainClient } from '../support/redis-under-test.ts';
import { contentOf, makeLog, type StoreAtOptions, storeAt } from './store-at.ts';

describe('redis bounds', () => {
  let redis: RedisServer;
  let meddler: ReturnType<typeof plainClient>;
  let store: Store;

  beforeAll(async () => {
    redis = await RedisServer.start();
    meddler = plainClient(redis.port);
  });
  afterAll(async () => {
    meddler.disconnect();
    await redis.remove();
  });
  afterEach(() => store.close());

  async function open(options?: StoreAtOptions) {
    store = await storeAt(redis.url, options);
    return makeLog(store);
  }

  /** A line of INFO, as a number. */
  async function stat(section: string, name: string): Promise<number> {
    const found = new RegExp(`^${name}:(?:calls=)?(\\d+)`, 'm').exec(`${await meddler.call('INFO', section)}`);
    return Number(found?.[1] ?? 0);
  }

  it('redis bounds - a read fetches four batches more than it was asked for at most, whatever the sizes before were', async () => {
    const log = await open();
    const [small, large] = ['small', 'x'.repeat(1_000_000)];
    for (const size of [small, small, ...new Array(12).fill(large)]) await store.append(log, [Buffer.from(size)]);
    const before = await stat('stats', 'total_net_output_bytes');
    const batches = await store.read(log, 1, 256 * 1024);
    expect(batches.map(({ firstOffset }) => firstOffset)).toEqual([1, 2, 3]);
    expect((await stat('stats', 'total_net_output_bytes')) - before).toBeLessThan(4_100_000);
    expect(await contentOf(store, log)).toHaveLength(14);
  });

  it('redis bounds - a read goes on over many small batches until it has its bytes', async () => {
    const log = await open();
    for (let i = 0; i < 100; i++) await store.append(log, [Buffer.alloc(100)]);
    expect(await store.read(log, 1, 1_000_000)).toHaveLength(100);
    const some = await store.read(log, 5, 5000);
    expect(some[0]!.firstOffset).toBe(5);
    const bytes = some.map((batch) => batch.bytes.length);
    const sum = bytes.reduce((a, b) => a + b);
    expect(sum).toBeGreaterThanOrEqual(5000);
    expect(sum - bytes.at(-1)!).toBeLessThan(5000);
  });

  it('redis bounds - a commit takes so many appends and no more, and the rest goes with the next, in order (I6 I7)', async () => {
    const log = await open({ link: { timeoutMs: 5000 } });
    const before = store.counters().commits;
    const all = await Promise.all(
      Array.from({ length: 45_000 }, (_, i) => store.append(log, [Buffer.from(`${i}`)], `session-${i}/1`)),
    );
    expect(all.findIndex(({ firstOffset, duplicate }, i) => duplicate || firstOffset !== i + 1)).toBe(-1);
    expect(store.counters().commits - before).toBe(9);
    expect(await store.append(log, [Buffer.from('again')], 'session-7/1')).toMatchObject({ firstOffset: 8 });
  });

  it('redis bounds - a server that forgot its scripts is given each once, however many calls wait for it', async () => {
    const log = await open();
    await store.append(log, [Buffer.from('before')]);
    await store.offsetAt(log, 0);
    await meddler.call('SCRIPT', 'FLUSH');
    await meddler.call('CONFIG', 'RESETSTAT');
    const offsets = await Promise.all(Array.from({ length: 2000 }, () => store.offsetAt(log, 0)));
    expect(new Set(offsets)).toEqual(new Set([1]));
    await store.append(log, [Buffer.from('after')]);
    expect(await stat('commandstats', 'cmdstat_script\\|load')).toBe(2);
    expect(await contentOf(store, log)).toEqual(['before', 'after']);
  });
});
