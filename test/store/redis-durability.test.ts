import { describe, expect, it, onTestFinished } from 'vitest';
import type { LinkOptions } from '../../src/store/redis/connection.ts';
import type { StoreHealth } from '../../src/store/store.ts';
import { RedisServer, type RedisServerOptions, startRedisCluster } from '../support/redis-server.ts';
import { freshPrefix, plainClient } from '../support/redis-under-test.ts';
import { eventually, makeLog, storeAt } from './store-at.ts';

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

  it.each([
    [
      'allkeys-lru',
      '100mb',
      'memory',
      /^memory only: Redis deletes.* \(set maxmemory-policy noeviction.*allkeys-lru\)/,
    ],
    ['volatile-ttl', '100mb', 'fsynced', /store it twice \(set maxmemory-policy noeviction/],
    ['allkeys-lru', '0', 'fsynced', /^fsynced(?!.*maxmemory)/],
    ['noeviction', '100mb', 'fsynced', /^fsynced(?!.*maxmemory)/],
  ] as const)(
    'redis durability - maxmemory-policy %s with maxmemory %s is worth %s, in words (I1)',
    async (policy, maxmemory, level, words) => {
      const settings = ['--maxmemory', maxmemory, '--maxmemory-policy', policy];
      const health = await healthOf({ appendfsync: 'always', settings });
      expect(health).toMatchObject({ writable: true, level, durability: expect.stringMatching(words) });
    },
  );

  it('redis durability - sees a policy that deletes messages where settings may not be read (I1)', async () => {
    const redis = await serverWith({
      appendfsync: 'always',
      settings: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-random'],
    });
    const meddler = plainClient(redis.port);
    await meddler.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-config');
    meddler.disconnect();
    const store = await storeAt(redis.url.replace('//', '//app:secret@'));
    onTestFinished(() => store.close());
    expect(await store.health()).toMatchObject({ level: 'memory', durability: expect.stringMatching(/noeviction/) });
  });

  it('redis durability - a cluster is not healthy while one of its masters takes no writes', async () => {
    const cluster = await startRedisCluster(3, 0);
    onTestFinished(() => cluster.remove());
    const store = await storeAt(cluster.url);
    onTestFinished(() => store.close());
    expect(await store.health()).toMatchObject({ writable: true });
    for (const { port } of cluster.servers) {
      const meddler = plainClient(port);
      await meddler.call('CONFIG', 'SET', 'maxmemory', '1');
      expect(await store.health()).toMatchObject({
        writable: false,
        problem: expect.stringMatching(`${port}.*maxmemory`),
      });
      await meddler.call('CONFIG', 'SET', 'maxmemory', '0');
      meddler.disconnect();
      expect(await store.health()).toMatchObject({ writable: true });
    }
  }, 30_000);

  // Replicas are asked about the last write of a connection: without one there is nothing to ask about.
  it('redis durability - letting a dedupe key go that is not there is a write all the same, and leaves nothing (I1)', async () => {
    const redis = await serverWith({ appendfsync: 'always' });
    const prefix = freshPrefix();
    const store = await storeAt(redis.url, { prefix });
    onTestFinished(() => store.close());
    const log = await makeLog(store);
    const meddler = plainClient(redis.port);
    onTestFinished(() => meddler.disconnect());
    const written = async () =>
      Number(/aof_current_size:(\d+)/.exec(`${await meddler.call('INFO', 'persistence')}`)![1]);
    const [before, keys] = [await written(), await meddler.call('DBSIZE')];
    await store.forget(log, ['unknown']);
    expect(await written()).toBeGreaterThan(before);
    expect(await meddler.call('DBSIZE')).toBe(keys);
    expect(await meddler.call('TTL', `${prefix}{${log.topicId}/0}:m`)).toBe(-1);
  });

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
