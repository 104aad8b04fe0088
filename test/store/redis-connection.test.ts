import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Connection, type LinkOptions, openLink } from '../../src/store/redis/connection.ts';
import { parseRedisUrl } from '../../src/store/redis/redis-url.ts';
import { loadScript } from '../../src/store/redis/script.ts';
import { slotOf } from '../../src/store/redis/slot.ts';
import { type RedisClusterServers, RedisServer, startRedisCluster } from '../support/redis-server.ts';

const opened: Connection[] = [];
async function open(url: string, options: LinkOptions = {}): Promise<Connection> {
  const link = await openLink(url, options);
  opened.push(link);
  return link;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((link) => link.close()));
});

/** A script of its own, so that no server has it yet. */
const echo = () => ({ ...loadScript('time'), name: 'echo', keyCount: 1 });
const script = (lua: string) => ({ ...echo(), lua, sha: createHash('sha1').update(lua).digest('hex') });

describe('redis url', () => {
  it('redis url - is taken apart, and shown without its password', () => {
    expect(parseRedisUrl('rediss://me:p%40ss@h.example:7000/3')).toEqual({
      kind: 'server',
      addresses: [{ host: 'h.example', port: 7000 }],
      masterName: undefined,
      login: { username: 'me', password: 'p@ss', tls: {}, db: 3 },
      shown: 'rediss://h.example:7000/3',
    });
    expect(parseRedisUrl('redis-cluster://a:1,b:2').addresses).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    expect(parseRedisUrl('redis-sentinel://a,b/main')).toMatchObject({ masterName: 'main', kind: 'sentinel' });
    expect(parseRedisUrl('redis://[::1]:6380').addresses).toEqual([{ host: '::1', port: 6380 }]);
  });

  it.each([
    'redis://',
    'redis://u:secret@h:99999',
    'redis://u:sec/ret@h',
    'redis-sentinel://:secret@h',
    'redis://:secret@h/x',
  ])('redis url - %s is refused without repeating the password', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(/redis/);
    expect(() => parseRedisUrl(url)).not.toThrow(/sec/);
  });
});

describe('redis connection', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());

  it('redis connection - runs commands and scripts, and loads a script again after the server forgot it', async () => {
    const link = await open(redis.url);
    const add = script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    expect(await link.run(add, ['n'], [2])).toBe(2);
    await link.command('SCRIPT', 'FLUSH');
    expect(await link.run(add, ['n'], [3])).toBe(5);
    expect(await link.command('GET', 'n')).toEqual(Buffer.from('5'));
  });

  it('redis connection - carries bytes as they are', async () => {
    const link = await open(redis.url);
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    await link.command('SET', 'bytes', bytes);
    expect(await link.command('GET', 'bytes')).toEqual(bytes);
  });

  it('redis connection - says what is wrong at the start, without the password', async () => {
    const refused = openLink(redis.url.replace('//', '//u:secret@')).catch((error: Error) => error.message);
    expect(await refused).toMatch(/refuses the user or password/);
    expect(await refused).not.toMatch(/secret/);
  });

  it('redis connection - hears what another publishes, and is told when it may have missed something', async () => {
    const [a, b] = [await open(redis.url), await open(redis.url)];
    const heard: (string | undefined)[] = [];
    const hears = () => waitFor(() => a.hears('c'));
    a.subscribe('c', (message) => heard.push(message?.toString()));
    await hears();
    expect(heard).toEqual([undefined]);
    await b.publish('c', 'one');
    await waitFor(() => heard.length === 2);
    await b.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await waitFor(() => heard.length === 4);
    expect(heard).toEqual([undefined, 'one', undefined, undefined]);
    await b.publish('c', 'two');
    await waitFor(() => heard.at(-1) === 'two');
  });

  it('redis connection - a call that meets a lost connection waits for the next, within its bound', async () => {
    const own = await RedisServer.start();
    const link = await open(own.url, { timeoutMs: 1000 });
    await own.kill();
    await expect(link.command('PING')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(link.command('PING')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await own.start();
    await waitFor(() =>
      link.command('PING').then(
        () => true,
        () => false,
      ),
    );
    await own.remove();
  });

  it('redis connection - gives a server up that takes too long, and uses it again when it answers', async () => {
    const link = await open(redis.url, { timeoutMs: 300 });
    await link.command('CLIENT', 'PAUSE', 1000, 'ALL');
    await expect(link.command('GET', 'n')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(link.linkCounters().timeouts).toBe(1);
    await waitFor(() =>
      link.command('PING').then(
        () => true,
        () => false,
      ),
    );
  });
});

describe('redis connection to a cluster', () => {
  let cluster: RedisClusterServers;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.remove());

  it('redis connection to a cluster - runs each script where its key lives', async () => {
    const link = await open(cluster.url);
    const get = script("return redis.call('INCR', KEYS[1])");
    for (let i = 0; i < 50; i++) expect(await link.run(get, [`{k${i}}:x`], [])).toBe(1);
    expect(await link.onEachServer('PING')).toHaveLength(3);
    expect(slotOf('a{k1}b')).toBe(slotOf('k1'));
    expect(await link.command('CLUSTER', 'KEYSLOT', 'foo{bar}x')).toBe(slotOf('foo{bar}x'));
  });

  it('redis connection to a cluster - hears what is published through any server', async () => {
    const [a, b] = [await open(cluster.url), await open(cluster.url)];
    const heard: string[] = [];
    for (let i = 0; i < 20; i++) a.subscribe(`c${i}`, (message) => message && heard.push(message.toString()));
    await waitFor(() => a.hears('c19'));
    for (let i = 0; i < 20; i++) await b.publish(`c${i}`, `m${i}`);
    await waitFor(() => heard.length === 20);
  });
});

/** Another process gives no event to wait for. */
async function waitFor(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('It never came true.');
}
