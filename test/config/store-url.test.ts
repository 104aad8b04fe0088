import { describe, expect, it } from 'vitest';
import { isStoreUrl, withoutPassword } from '../../src/config/store-url.ts';
import { type Config, ConfigError, readConfig } from '../../src/config.ts';
import { parseRedisUrl } from '../../src/store/redis/redis-url.ts';

const allowed = [
  'redis://redis',
  'redis://127.0.0.1:6379',
  'redis://[::1]:6379/3',
  'redis://:s3cret@redis:6379/15',
  'redis://me:s3cret%40home@redis',
  'rediss://me:s3cret@redis.example.com:6380/0',
  'redis-cluster://a:7000,b:7001,[::1]:7002',
  'redis-cluster://me:s3cret@a:7000',
  'rediss-cluster://a:7000,b:7001',
  'redis-sentinel://a:26379,b:26379,c:26379/mymaster',
  'redis-sentinel://me:s3cret@a:26379/my.master-1',
];

const refused: readonly [what: string, url: string][] = [
  ['no host', 'redis://'],
  ['no slashes', 'redis:127.0.0.1'],
  ['another kind of store', 'postgres://h/db'],
  ['a kind that is written otherwise', 'Redis://h'],
  ['a port that does not exist', 'redis://h:0'],
  ['a port too high', 'redis://h:65536'],
  ['a port that is no number', 'redis://h:six'],
  ['a database that is no number', 'redis://h/orders'],
  ['more than a database', 'redis://h/1/2'],
  ['several servers that are no cluster', 'redis://a:1,b:2'],
  ['a query', 'redis://h:1?db=3'],
  ['a fragment', 'redis://h:1#3'],
  ['a user without a password', 'redis://me@h'],
  ['no password where one is announced', 'redis://me:@h'],
  ['a password with an @ that is not %40', 'redis://me:s3@cret@h'],
  ['a password with a half %', 'redis://me:s3%cret@h'],
  ['a password that is no text', 'redis://me:%ff@h'],
  ['an address of no kind', 'redis://[::g]:1'],
  ['a host with a space', 'redis://a b'],
  ['a cluster with a database', 'redis-cluster://a:1/2'],
  ['a cluster whose ports are left out', 'redis-cluster://a,b'],
  ['a cluster with a gap', 'redis-cluster://a:1,,b:2'],
  ['sentinels without a master', 'redis-sentinel://a:1,b:2'],
  ['sentinels with a database', 'redis-sentinel://a:1/mymaster/2'],
  ['an embedded store without a path', 'lmdb:'],
];

describe('store URL', () => {
  it.each(allowed)('store URL - %s is allowed, and the adapter reads it', (url) => {
    expect(isStoreUrl(url)).toBe(true);
    expect(() => parseRedisUrl(url)).not.toThrow();
  });

  it.each(refused)('store URL - I9: %s is refused with one sentence and without a password', (_what, url) => {
    expect(isStoreUrl(url)).toBe(false);
    const problems = problemsOf(url);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^--store is ".*"; it must be lmdb: and .* redis:\/\/host:port, .*master\.$/);
    expect(problems[0]).not.toMatch(/s3|cret/);
  });

  it.each([
    ['lmdb:./data@home', 'lmdb:./data@home'],
    ['redis://127.0.0.1:6379/2', 'redis://127.0.0.1:6379/2'],
    ['redis://:s3cret@h:1/2', 'redis://…@h:1/2'],
    ['rediss://me:s3@cret@h', 'rediss://…@h'],
    ['redis-cluster://me:s3cret@a:1,b:2', 'redis-cluster://…@a:1,b:2'],
    ['redis-sentinel://me:s3cret@a:1/master', 'redis-sentinel://…@a:1/master'],
    ['redis://h?password=s3cret', 'redis://h?…'],
    ['redis:me:s3cret@h', 'redis:…@h'],
    ['me:s3cret@h', 'me:…@h'],
    [`redis://me:${'s3cret/'.repeat(50)}@h`, 'redis://…@h'],
  ])('store URL - of %s is shown %s', (url, shown) => {
    expect(withoutPassword(url)).toBe(shown);
  });
});

it('store URL - I9: a password that was put in the wrong place stays out of the message', () => {
  const places = [
    ['redis://me:s3cret@h'],
    ['--host', 'redis://me:s3@cret@h'],
    ['--store=redis://me:s3cret@h', '--nope'],
  ];
  for (const args of places) {
    expect(() => readConfig({ args, env: {}, version: '0' })).toThrow(
      expect.objectContaining({
        message: expect.not.stringMatching(/s3|cret/),
      }),
    );
  }
});

function problemsOf(store: string): readonly string[] {
  try {
    return [
      JSON.stringify((readConfig({ args: ['--store', store], env: {}, version: '0' }) as { config: Config }).config),
    ];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}
