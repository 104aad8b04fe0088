import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../support/redis-server.ts';
import { plainClient } from '../support/redis-under-test.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { Appending } from './appending.ts';
import { contentOf, eventually, makeLog, storeAt } from './store-at.ts';

const syncAtOnce = ['--repl-diskless-sync-delay', '0'];

async function serverWith(settings: readonly string[]): Promise<RedisServer> {
  const redis = await RedisServer.start({ appendfsync: 'always', settings: [...syncAtOnce, ...settings] });
  onTestFinished(() => redis.remove());
  return redis;
}

/** A sentinel that watches `master`; alone, so that its word is enough. It takes a free port of the system. */
async function sentinelOf(master: RedisServer): Promise<number> {
  const directory = makeTempDirectory();
  const port = 22_000 + Math.floor(Math.random() * 5_000);
  const file = join(directory.path, 'sentinel.conf');
  const lines = [
    ...[`port ${port}`, 'bind 127.0.0.1', 'loglevel warning', `sentinel monitor main 127.0.0.1 ${master.port} 1`],
    ...['sentinel down-after-milliseconds main 500', 'sentinel failover-timeout main 3000'],
  ];
  writeFileSync(file, lines.join('\n'));
  const sentinel: ChildProcess = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  onTestFinished(async () => {
    sentinel.kill('SIGKILL');
    await once(sentinel, 'exit');
    directory.remove();
  });
  const client = plainClient(port);
  // It has to know the replicas before it can let one of them take over.
  await eventually(async () => {
    const replicas = await client.call('SENTINEL', 'REPLICAS', 'main').catch(() => []);
    return (replicas as unknown[]).length === 2;
  });
  client.disconnect();
  return port;
}

/** Of the server, if it takes writes: how many replicas are in step with it. */
async function replicasOf({ port }: RedisServer): Promise<number> {
  const client = plainClient(port);
  const info = await client.info('replication').catch(() => '');
  client.disconnect();
  return info.includes('role:master') ? info.split('state=online').length - 1 : 0;
}

describe('redis sentinel', () => {
  // Which replica takes over is the sentinels' choice, and they may choose by offsets that are seconds old. So the
  // store waits for all of them.
  it('redis sentinel - the store follows to the new master, and has lost nothing that the replicas had (I1)', async () => {
    const master = await serverWith([]);
    const replicaOf = ['--replicaof', '127.0.0.1', `${master.port}`];
    const others = [await serverWith(replicaOf), await serverWith(replicaOf)];
    const port = await sentinelOf(master);
    await eventually(async () => (await replicasOf(master)) === 2);
    const store = await storeAt(`redis-sentinel://127.0.0.1:${port}/main`, { link: { waitReplicas: 2 } });
    onTestFinished(() => store.close());
    await eventually(async () => (await store.health()).writable); // replicas that have just come may be slow at first
    const log = await makeLog(store);
    const appending = new Appending(store, [log], 10);
    await appending.more(300);
    await master.kill();
    await eventually(async () => (await Promise.all(others.map(replicasOf))).includes(1));
    await master.start(); // the sentinel makes it a replica of the other
    await appending.more(300);
    await appending.stop();
    expect(appending.faults([await contentOf(store, log)])).toEqual([]);
  }, 60_000);
});
