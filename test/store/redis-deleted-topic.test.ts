import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OpenPubSub, openPubSub } from '../../src/pubsub/open-pubsub.ts';
import type { Store } from '../../src/store/store.ts';
import { RedisServer } from '../support/redis-server.ts';
import { freshPrefix, plainClient } from '../support/redis-under-test.ts';
import { makeLog, storeAt, topicName } from './store-at.ts';

describe('redis deleted topic', () => {
  let redis: RedisServer;
  let meddler: ReturnType<typeof plainClient>;
  let prefix: string;
  let store: Store;
  let core: OpenPubSub;

  beforeAll(async () => {
    redis = await RedisServer.start();
    meddler = plainClient(redis.port);
  });
  afterAll(async () => {
    meddler.disconnect();
    await redis.remove();
  });
  beforeEach(async () => {
    prefix = freshPrefix();
    store = await storeAt(redis.url, { prefix });
    core = openPubSub({ store, clock: Date.now, logger: pino({ enabled: false }) });
  });
  afterEach(async () => {
    await core.close();
    await store.close();
  });

  const meta = (topicId: string, partition: number) => `${prefix}{${topicId}/${partition}}:m`;

  it('redis deleted topic - the next sweep completes a drop that a crash cut short, and warns of nothing', async () => {
    const { topicId } = await makeLog(store, topicName, 4);
    await store.deleteTopic(topicName);
    await meddler.call('DEL', ...[0, 1, 2, 3].map((partition) => meta(topicId, partition))); // as far as it got
    await core.sweepRetention();
    expect(await store.listLogs()).toEqual([]);
    expect(await meddler.call('SCARD', `${prefix}{catalog}:orphans`)).toBe(0);
    expect(core.counters().retentionFailures).toBe(0);
  });

  it('redis deleted topic - a partition that is gone waits for the others without a warning, and nothing unread is lost (I3)', async () => {
    const log = await makeLog(store, topicName, 2);
    await store.append({ ...log, partition: 1 }, [Buffer.from('unread')]);
    await store.deleteTopic(topicName);
    await meddler.call('DEL', meta(log.topicId, 0));
    await expect(store.watermarks(log)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await store.watermarks({ ...log, partition: 1 })).toMatchObject({ first: 1, head: 2 });
    await core.sweepRetention();
    expect(await store.listLogs()).toEqual([]);
    expect(core.counters().retentionFailures).toBe(0);
  });

  it('redis deleted topic - what many leave is dropped without reading the list of all logs for each', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `${topicName}${i}`);
    for (const name of names) await store.createTopic({ name, labels: {} });
    for (const name of names) await store.deleteTopic(name);
    await meddler.call('CONFIG', 'RESETSTAT');
    await core.sweepRetention();
    expect(await store.listLogs()).toEqual([]);
    const [, calls] = /cmdstat_hgetall:calls=(\d+)/.exec(`${await meddler.call('INFO', 'commandstats')}`)!;
    expect(Number(calls)).toBeLessThan(5);
    expect(await meddler.call('KEYS', `${prefix}{t*`)).toEqual([]);
  });
});
