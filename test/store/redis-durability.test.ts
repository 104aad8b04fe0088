import { describe, expect, it, onTestFinished } from 'vitest';
import type { LinkOptions } from '../../src/store/redis/connection.ts';
import type { StoreHealth } from '../../src/store/store.ts';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.ts';
import { plainClient } from '../support/redis-under-test.ts';
import { eventually, storeAt } from './store-at.ts';

async function serverWith(options: RedisServerOptions): Promise<RedisServer> {
  const redis = await RedisServer.start(options);
  onTestFinished(() => redis.remove());
  return redis;
}

async function healthOf(options: RedisServerOptions, link?: LinkOptions): Promise<StoreHealth> {
  const redis = await serverWith(options);
  const store = await storeAt(redis.url, link ? { link } : {});
  onTestFinished(() => store.close());
  return store.health();
}

describe('redis durability', () => {
  it.each([
    ['always', [], 'fsynced', /^fsynced: an acknowledged message is on the disk of Redis/],
    ['everysec', [], 'delayed', /up to about 2 s may be lost/],
    ['no', [], 'memory', /^memory only: an acknowledged message is lost when Redis stops/],
    ['always', ['--no-appendfsync-on-rewrite', 'yes'], 'delayed', /while Redis rewrites its file/],
  ] as const)(
    'redis durability - appendfsync %s with %j is worth %s, in words',
    async (appendfsync, settings, level, words) => {
      const health = await healthOf({ appendfsync, settings });
      expect(health).toMatchObject({ writable: true, level, durability: expect.stringMatching(words) });
      expect(health.durability).toMatch(/failover to a replica may lose the last moment/);
    },
  );

  it('redis durability - follows the settings when they change, and a server that was started again', async () => {
    const redis = await serverWith({ appendfsync: 'always' });
    const store = await storeAt(redis.url);
    onTestFinished(() => store.close());
    const meddler = plainClient(redis.port);
    await meddler.call('CONFIG', 'SET', 'appendfsync', 'everysec');
    meddler.disconnect();
    expect(await store.health()).toMatchObject({ level: 'delayed' });
    await redis.kill();
    await redis.start();
    await eventually(async () => (await store.health()).level === 'fsynced');
  });

  it('redis durability - says that it does not know where settings may not be read', async () => {
    const redis = await serverWith({ appendfsync: 'always' });
    const meddler = plainClient(redis.port);
    await meddler.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-config');
    meddler.disconnect();
    const store = await storeAt(redis.url.replace('//', '//app:secret@'));
    onTestFinished(() => store.close());
    expect(await store.health()).toMatchObject({
      writable: true,
      level: 'unknown',
      durability: expect.stringMatching(/CONFIG/),
    });
  });

  it('redis durability - does not start where it could not hear what other nodes change', async () => {
    const redis = await serverWith({ appendfsync: 'always' });
    const meddler = plainClient(redis.port);
    await meddler.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', 'resetchannels', '+@all');
    meddler.disconnect();
    const opening = storeAt(redis.url.replace('//', '//app:secret@'));
    await expect(opening).rejects.toThrow(/allow this user all channels under the prefix/);
  });

  it('redis durability - refuses to acknowledge what no replica has, when it has to wait for one', async () => {
    const redis = await serverWith({ appendfsync: 'always' });
    const opening = storeAt(redis.url, {
      link: { waitReplicas: 1, timeoutMs: 200 },
      limits: { commitDeadlineMs: 300 },
    });
    const store = await opening;
    onTestFinished(() => store.close());
    await expect(store.createTopic({ name: 'projects/p/topics/t', labels: {} })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/Only 0 of the 1 replicas/),
    });
    expect(await store.health()).toMatchObject({ writable: false, problem: expect.stringMatching(/--redis-wait/) });
  });

  it('redis durability - says when WAITAOF was asked for and this server cannot do it', async () => {
    const { durability } = await healthOf({ appendfsync: 'everysec' }, { waitAof: true });
    const hasWaitAof = !/cannot do it/.test(durability);
    expect(durability).toMatch(hasWaitAof ? /^fsynced/ : /up to about 2 s may be lost.*WAITAOF was asked for/);
  });
});
