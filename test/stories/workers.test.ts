import { connect } from 'node:net';
import mqtt from 'mqtt';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../support/redis-server.ts';
import { runSimulator } from '../support/run-simulator.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import type { RunningServer } from '../support/start-server.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const poll = { timeout: 20_000, interval: 50 };

async function redisUnderTest(): Promise<RedisServer> {
  const redis = await RedisServer.start({ appendfsync: 'always' });
  onTestFinished(() => redis.remove());
  return redis;
}

/** Ready, and with the line of each worker in its log: several processes write to it, and not at the same moment. */
async function group(args: readonly string[] = [], workers = 2): Promise<RunningServer> {
  const { url } = await redisUnderTest();
  const flags = ['--store', url, '--workers', String(workers), ...args];
  const server = await serverUnderTest({ dataDir: tempDirectory(), args: flags });
  await expect.poll(() => linesOf(server, 'worker serves').length, poll).toBe(workers);
  return server;
}

interface LogLine {
  readonly msg: string;
  readonly worker?: number;
  readonly pid?: number;
}

function linesOf(server: RunningServer, msg: string): LogLine[] {
  return server.log.map((line) => JSON.parse(line) as LogLine).filter((line) => line.msg === msg);
}

/** Process ids by worker, those that serve now. */
function pidsOf(server: RunningServer): number[] {
  const pids = new Map(linesOf(server, 'worker serves').map(({ worker, pid }) => [worker, pid!]));
  return [...pids.values()];
}

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** The value of a metric by worker. */
async function byWorker(server: RunningServer, name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
  const found = text.matchAll(new RegExp(`^headwater_${name}\\{worker="(\\d+)"\\} (\\S+)$`, 'gm'));
  return Object.fromEntries([...found].map(([, worker, value]) => [worker!, Number(value)]));
}

async function devices(server: RunningServer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const client = await mqtt.connectAsync(server.mqttUrl, { reconnectPeriod: 0 });
    onTestFinished(() => client.endAsync(true));
    client.on('error', () => {});
  }
}

describe('stories - several workers on the same ports', () => {
  it('workers - connections are dealt out in turn, and every worker tells the metrics of all', async () => {
    const server = await group([], 3);
    await devices(server, 6);
    for (let scrape = 0; scrape < 3; scrape++) {
      expect(await byWorker(server, 'mqtt_connections')).toEqual({ 1: 2, 2: 2, 3: 2 });
      expect(await byWorker(server, 'worker_up')).toEqual({ 1: 1, 2: 1, 3: 1 });
    }
    const [ready] = linesOf(server, 'ready');
    expect(ready).toMatchObject({ mqtt: server.mqttUrl, http: server.httpUrl, workers: 3, store: expect.anything() });
    expect(linesOf(server, 'ready')).toHaveLength(1);
    expect(await server.stop()).toBe(0);
  });

  it('workers - one is killed while a fleet publishes: it is replaced, nothing acknowledged is lost (I1, I5, I6, I10, I11)', async () => {
    const server = await group();
    const flags = ['--devices', '40', '--rate', '20', '--duration', '8s', '--qos', '2', '--seed', '7'];
    const run = runSimulator(server, flags);
    for (const kill of [1, 2]) {
      await expect
        .poll(async () => Object.values(await byWorker(server, 'mqtt_pubrecs_total')).some((n) => n > 500), poll)
        .toBe(true);
      process.kill(pidsOf(server)[kill - 1]!, 'SIGKILL');
      await expect.poll(() => linesOf(server, 'worker serves').length, poll).toBe(2 + kill);
    }
    const { proof, ...summary } = await run;
    expect(summary).toMatchObject({ ok: true, pending: 0, refused: 0, sessionsLost: 0, abandoned: 0 });
    expect(summary.reconnects).toBeGreaterThanOrEqual(20);
    expect(proof).toMatchObject({ lost: 0, duplicates: 0, outOfOrder: 0, redeliveredAfterAck: 0, corrupted: 0 });
    expect(await byWorker(server, 'worker_restarts_total')).toEqual({ 1: 1, 2: 1 });
    expect(await server.stop()).toBe(0);
  }, 90_000);

  it('workers - the others go on serving while one is away', async () => {
    const server = await group();
    const [first, second] = pidsOf(server);
    process.kill(first!, 'SIGKILL');
    await expect.poll(() => linesOf(server, 'a worker died and will be replaced').length, poll).toBe(1);
    await devices(server, 2);
    await expect.poll(() => byWorker(server, 'worker_up'), poll).toEqual({ 1: 1, 2: 1 });
    expect(pidsOf(server)).not.toContain(first);
    expect(pidsOf(server)).toContain(second);
    expect(await server.stop()).toBe(0);
  });

  it('workers - all of them die at once: their replacements have the same ports', async () => {
    const server = await group();
    for (const pid of pidsOf(server)) process.kill(pid, 'SIGKILL');
    await expect.poll(() => linesOf(server, 'worker serves').length, poll).toBe(4);
    expect(await byWorker(server, 'worker_up')).toEqual({ 1: 1, 2: 1 });
    await devices(server, 2);
    expect(await byWorker(server, 'mqtt_connections')).toEqual({ 1: 1, 2: 1 });
    expect(await server.stop()).toBe(0);
  });

  it('workers - SIGTERM ends all of them in good order, with exit code 0', async () => {
    const server = await group();
    const pids = pidsOf(server);
    expect(await server.stop()).toBe(0);
    expect(pids.filter(lives)).toEqual([]);
    const stopped = () => linesOf(server, 'stopped').map(({ worker }) => worker ?? 'supervisor');
    await expect.poll(() => stopped().toSorted(), poll).toEqual([1, 2, 'supervisor']);
  });

  it('workers - one that hangs has no say: /metrics answers without it, and a stop kills it', async () => {
    const server = await group();
    const [hanging] = pidsOf(server);
    process.kill(hanging!, 'SIGSTOP');
    const up = async () => {
      const reply = await fetch(`${server.httpUrl}/metrics`, { signal: AbortSignal.timeout(2000) }).catch(
        () => undefined,
      );
      return /worker_up\{worker="1"\} 0/.test((await reply?.text()) ?? '');
    };
    await expect.poll(up, poll).toBe(true);
    expect(await server.stop()).toBe(0);
    expect(lives(hanging!)).toBe(false);
  });

  it('workers - the supervisor is killed: no worker is left behind (I10)', async () => {
    const server = await group();
    const pids = pidsOf(server);
    expect(pids.filter(lives)).toHaveLength(2);
    await server.kill();
    await expect.poll(() => pids.filter(lives), poll).toEqual([]);
  });

  it('workers - HTTP connections past the bound are closed, not handed round', async () => {
    const server = await group(['--http-connections-max', '1']);
    const { port, hostname } = new URL(server.httpUrl);
    const sockets = Array.from({ length: 5 }, () => connect(Number(port), hostname).on('error', () => {}));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const closed = new Set<number>();
    for (const [i, socket] of sockets.entries()) socket.once('close', () => closed.add(i));
    await expect.poll(() => closed.size, poll).toBe(3);
  });
});

describe('stories - workers that cannot start', () => {
  it('workers - a port that is taken is told once, in a sentence, and ends the start with 1', async () => {
    const { url } = await redisUnderTest();
    const other = await serverUnderTest({ dataDir: tempDirectory() });
    const { mqttPort } = other;
    const start = serverUnderTest({ dataDir: tempDirectory(), mqttPort, args: ['--store', url, '--workers', '2'] });
    const error = await start.catch((reason: Error) => reason.message);
    expect(error).toMatch(/ended with 1 before/);
    expect((error as string).match(/the port is taken/g)).toHaveLength(1);
  });

  it('workers - on a store that only one process can use they are refused, once, with 64', async () => {
    const start = serverUnderTest({ dataDir: tempDirectory(), args: ['--workers', '2'] });
    const error = await start.catch((reason: Error) => reason.message);
    expect(error).toMatch(/ended with 64 before/);
    expect((error as string).match(/--workers/g)).toHaveLength(1);
  });
});
