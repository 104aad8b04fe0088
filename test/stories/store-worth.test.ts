import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.ts';
import { plainClient } from '../support/redis-under-test.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import type { RunningServer } from '../support/start-server.ts';
import { tempDirectory } from '../support/temp-directory.ts';

interface Readiness {
  readonly code: number;
  readonly body: { readonly status: string; readonly level: string; readonly durability: string; problem?: string };
}

async function redisUnderTest(options: RedisServerOptions): Promise<RedisServer> {
  const redis = await RedisServer.start(options);
  onTestFinished(() => redis.remove());
  return redis;
}

async function readyz({ httpUrl }: RunningServer): Promise<Readiness> {
  const answer = await fetch(`${httpUrl}/readyz`);
  return { code: answer.status, body: (await answer.json()) as Readiness['body'] };
}

const metricsOf = async ({ httpUrl }: RunningServer) => (await fetch(`${httpUrl}/metrics`)).text();

/** /readyz tells of a change at the next write that it tries, a second later at most; there is no event to wait for. */
async function readyzUntil(server: RunningServer, isIt: (now: Readiness) => boolean): Promise<Readiness> {
  for (let tries = 0; tries < 200; tries++) {
    const now = await readyz(server);
    if (isIt(now)) return now;
    await sleep(100);
  }
  throw new Error(`/readyz stays at ${JSON.stringify(await readyz(server))}`);
}

describe('stories - what an acknowledgement is worth', () => {
  it('is told at the start, and told again when somebody changes it in Redis (I1)', async () => {
    const redis = await redisUnderTest({ appendfsync: 'always' });
    const server = await serverUnderTest({ dataDir: tempDirectory(), args: ['--store', redis.url] });
    expect(server.log.at(-1)).toMatch(/"durability":"fsynced: .*"msg":"ready"/);
    expect(await readyz(server)).toMatchObject({ code: 200, body: { status: 'ready', level: 'fsynced' } });
    expect(await metricsOf(server)).toContain('headwater_store_durability{level="fsynced"} 1');

    const client = plainClient(redis.port);
    await client.config('SET', 'appendfsync', 'everysec');
    await client.quit();
    const { body } = await readyzUntil(server, (now) => now.body.level === 'delayed');
    expect(body).toMatchObject({ status: 'ready', durability: expect.stringContaining('may be lost') });
    const metrics = await metricsOf(server);
    expect(metrics).toContain('headwater_store_durability{level="delayed"} 1');
    expect(metrics).toContain('headwater_store_durability{level="fsynced"} 0');
    expect(server.log.join('\n')).toMatch(/"level":40.*"worth":"delayed".*is worth has changed/);
  });

  it('a Redis that does not answer turns /readyz red within a bound, and green again by itself', async () => {
    const redis = await redisUnderTest({ appendfsync: 'always' });
    const server = await serverUnderTest({ dataDir: tempDirectory(), args: ['--store', redis.url] });
    process.kill(redis.pid, 'SIGSTOP');
    const red = await readyzUntil(server, ({ code }) => code === 503);
    expect(red.body).toMatchObject({ status: 'not writable', level: 'fsynced', problem: expect.stringMatching(/\w/) });
    expect(await metricsOf(server)).toContain('headwater_store_writable 0');
    process.kill(redis.pid, 'SIGCONT');
    await readyzUntil(server, ({ code }) => code === 200);
    const said = () => server.log.join('\n'); // the lines come through a pipe, and later than the answer
    await expect.poll(said).toMatch(/the store takes writes again/);
    expect(said()).toMatch(/the store takes no writes; until it does nothing is acknowledged/);
  });

  it('a password of the store is in no log line, no answer and no error', async () => {
    const redis = await redisUnderTest({});
    const client = plainClient(redis.port);
    await client.config('SET', 'requirepass', 's3cret');
    client.disconnect();
    const start = (password: string) =>
      serverUnderTest({
        dataDir: tempDirectory(),
        args: ['--log-level', 'trace', '--store', `redis://:${password}@127.0.0.1:${redis.port}`],
      });
    const server = await start('s3cret');
    const told = [server.log.join(), JSON.stringify(await readyz(server)), await metricsOf(server)].join();
    expect(told).toContain(`"store":"redis://…@127.0.0.1:${redis.port}"`);
    expect(told).not.toContain('s3cret');
    expect(server.log.join()).toMatch(/"level":40.*"worth":"memory"/);
    const failure = await start('wr0ng').catch((error: Error) => error);
    expect(String(failure)).toMatch(/before it was ready/);
    expect(String(failure)).not.toMatch(/wr0ng|s3cret/);
  });
});
