import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openLink } from '../../src/store/redis/connection.ts';
import { Keys } from '../../src/store/redis/keys.ts';
import { loadScript } from '../../src/store/redis/script.ts';
import type { LogRef, Store } from '../../src/store/store.ts';
import { RedisServer } from '../support/redis-server.ts';
import { freshPrefix, plainClient } from '../support/redis-under-test.ts';
import { Appending } from './appending.ts';
import { contentOf, eventually, makeLog, type StoreAtOptions, storeAt } from './store-at.ts';

describe('redis append', () => {
  let redis: RedisServer;
  let store: Store;
  let log: LogRef;

  beforeAll(async () => {
    redis = await RedisServer.start({ appendfsync: 'always' });
  });
  afterAll(() => redis.remove());
  beforeEach(() => open());
  afterEach(() => store.close());

  async function open(options?: StoreAtOptions): Promise<void> {
    await store?.close();
    store = await storeAt(redis.url, options);
    log = await makeLog(store);
  }

  const append = (text: string, dedupe?: string) => store.append(log, [Buffer.from(text)], dedupe);

  it('redis append - a killed and restarted server has lost nothing that was acknowledged, and kept the order (I1 I7)', async () => {
    const appending = new Appending(store, [log], 20);
    for (let round = 0; round < 3; round++) {
      await appending.more(300);
      await redis.kill();
      await redis.start();
    }
    await appending.more(300);
    await appending.stop();
    expect(appending.faults([await contentOf(store, log)])).toEqual([]);
  });

  it('redis append - a lost reply is asked for again, and nothing is stored twice (I1)', async () => {
    const meddler = plainClient(redis.port);
    const appending = new Appending(store, [log], 20);
    for (let round = 0; round < 20; round++) {
      await appending.more(50);
      await meddler.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    }
    await appending.stop();
    meddler.disconnect();
    expect(appending.failures).toBe(0);
    expect(appending.faults([await contentOf(store, log)])).toEqual([]);
  });

  it('redis append - a server that pauses for longer than an answer may take stores what it was given once', async () => {
    await append('before');
    const meddler = plainClient(redis.port);
    await meddler.call('CLIENT', 'PAUSE', 1500, 'WRITE');
    expect(await append('paused')).toMatchObject({ firstOffset: 2, duplicate: false });
    meddler.disconnect();
    expect(await contentOf(store, log)).toEqual(['before', 'paused']);
  });

  it('redis append - what gets no answer in time fails, and the log goes on when there are answers again', async () => {
    await open({ link: { timeoutMs: 200 }, limits: { commitDeadlineMs: 300 } });
    const meddler = plainClient(redis.port);
    await meddler.call('CLIENT', 'PAUSE', 1500, 'ALL');
    await expect(append('given up')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await eventually(() =>
      append('later').then(
        () => true,
        () => false,
      ),
    );
    meddler.disconnect();
    expect((await contentOf(store, log)).at(-1)).toBe('later');
  });

  it('redis append - what fails takes all that waits behind it along: nothing overtakes it (I7)', async () => {
    const prefix = freshPrefix();
    await open({ prefix });
    const waitsForReplica = { timeoutMs: 600, waitReplicas: 1 };
    const other = await storeAt(redis.url, { prefix, link: waitsForReplica, limits: { commitDeadlineMs: 100 } });
    const appendThere = (text: string) => other.append(log, [Buffer.from(text)]);
    await appendThere('loads the script').catch(() => undefined);
    const failing = appendThere('no replica has it');
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    const waiting = appendThere('waits behind it').catch(() => 'failed');
    await expect(failing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const atOnce = new Promise((resolve) => setImmediate(resolve, 'still open'));
    expect(await Promise.race([waiting, atOnce])).toBe('failed');
    await other.close();
    expect(await contentOf(store, log)).not.toContain('waits behind it');
  });

  it('redis append - a commit that was given up is refused once a later one has run (I7)', async () => {
    const link = await openLink(redis.url);
    const keys = new Keys(freshPrefix()).partition({ topicId: 't', partition: 0 });
    await link.run(loadScript('log-create'), [keys.meta], [1]);
    const all = [keys.log, keys.meta, keys.dedupe, keys.dedupeAge, keys.lastCommit('node')];
    const commit = async (number: number) => {
      const args = ['', number, 'channel', 1000, 60_000, 1, 0, '', Buffer.from('record')];
      const [status, state, first] = (await link.run(loadScript('append'), all, args)) as [Buffer, number, number];
      return [`${status}`, state, first];
    };
    expect(await commit(1)).toEqual(['ok', 0, 1]);
    expect(await commit(3)).toEqual(['ok', 0, 2]);
    expect(await commit(3)).toEqual(['ok', 0, 2]);
    expect(await commit(2)).toEqual(['late', undefined, undefined]);
    expect(await link.command('XLEN', keys.log)).toBe(2);
    await link.close();
  });

  it('redis append - recognises a repetition in the same commit, in a later one, and beside others (I6)', async () => {
    const all = await Promise.all([append('a', 'k'), append('b'), append('a again', 'k'), append('c', 'l')]);
    expect(all.map(({ firstOffset, duplicate }) => [firstOffset, duplicate])).toEqual([
      [1, false],
      [2, false],
      [1, true],
      [3, false],
    ]);
    const later = await Promise.all([append('d'), append('c again', 'l'), append('e')]);
    expect(later.map(({ firstOffset, duplicate }) => [firstOffset, duplicate])).toEqual([
      [4, false],
      [3, true],
      [5, false],
    ]);
    expect(await contentOf(store, log)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('redis append - closes a batch at its size, and keeps a large append in one', async () => {
    const large = 'x'.repeat(300 * 1024);
    const small = 'y'.repeat(100 * 1024);
    await Promise.all([append(small), append(small), append(small), append(large), append('z')]);
    const batches = await store.read(log, 1, 10_000_000);
    expect(batches.map(({ count }) => count)).toEqual([2, 1, 1, 1]);
    expect(await contentOf(store, log)).toEqual([small, small, small, large, 'z']);
  });

  it('redis append - refuses more than may wait, and takes more when there is room again', async () => {
    await open({ limits: { queuedBytesMax: 1000 } });
    const settled = await Promise.allSettled([
      append('a'.repeat(600)),
      append('b'.repeat(600)),
      append('c'.repeat(300)),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(settled[1]).toMatchObject({
      reason: { code: 'UNAVAILABLE', message: expect.stringContaining('1000 bytes') },
    });
    expect((await append('d'.repeat(600))).firstOffset).toBe(3);
    expect(store.counters().queued).toBe(0);
  });

  it('redis append - says that the memory of Redis is full, and goes on when it is not', async () => {
    const meddler = plainClient(redis.port);
    await meddler.call('CONFIG', 'SET', 'maxmemory', '1mb');
    await expect(append('a')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/maxmemory/),
    });
    expect(await store.health()).toMatchObject({ writable: false, problem: expect.stringMatching(/maxmemory/) });
    await meddler.call('CONFIG', 'SET', 'maxmemory', '0');
    meddler.disconnect();
    expect((await append('a')).firstOffset).toBe(1);
  });

  it('redis append - while Redis is away calls fail within the bound, and it goes on by itself when it is back', async () => {
    await open({ link: { timeoutMs: 300 }, limits: { commitDeadlineMs: 500 } });
    await redis.kill();
    await expect(append('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(append('b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await store.health()).toMatchObject({
      writable: false,
      problem: expect.stringContaining('cannot be reached'),
    });
    await redis.start();
    await eventually(async () => (await store.health()).writable);
    await append('c');
    expect(await contentOf(store, log)).toEqual(['c']);
  });

  it('redis append - trims a thousand batches, exactly as far as it was told', async () => {
    for (let i = 0; i < 1000; i++) await append(`m${i}`);
    await store.trim(log, 500);
    expect(await store.watermarks(log)).toMatchObject({ first: 500, head: 1001 });
    expect((await contentOf(store, log))[0]).toBe('m499');
    await store.trim(log, 1001);
    expect(await store.watermarks(log)).toMatchObject({ first: 1001, head: 1001, bytes: 0 });
    expect((await append('next')).firstOffset).toBe(1001);
  });
});
