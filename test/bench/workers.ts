import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { RedisServer } from '../support/redis-server.ts';
import { startServer } from '../support/start-server.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { cpuSeconds } from './process-usage.ts';
import { RedisUsage } from './redis-usage.ts';
import { runLoad } from './run-load.ts';

// npx tsx test/bench/workers.ts [--quick]
//
// `--workers 2` beside 1: QoS 1 acknowledgements that Redis has fsynced, 50 connections × window 20, from a load generator in a
// process of its own. Redis and the generator need processors too: with fewer than four the rate cannot show what a second
// worker is worth, so the CPU time of each process is printed. What one worker can do is bounded by its own CPU time.

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean' } } });
const messages = flags.quick ? 100_000 : 500_000;
const warmUpMessages = 100_000;
/** The two take turns, so that a neighbour's noise falls on both. */
const rounds = 2;

interface WorkersRow {
  readonly workers: number;
  readonly acksPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds per 1M acknowledgements. */
  readonly cpu: { readonly supervisor: number; readonly workers: readonly number[]; readonly redis: number };
  /** 1M over the CPU seconds of the busiest worker: its rate on a processor of its own, were nothing else in the way. */
  readonly acksPerSecondOfBusiestWorker: number;
}

async function measure(workers: number): Promise<WorkersRow> {
  const redis = await RedisServer.start({ appendfsync: 'always' });
  const directory = makeTempDirectory();
  const usage = new RedisUsage(redis.port);
  const args = ['--store', redis.url, '--workers', String(workers)];
  const server = await startServer({ dataDir: directory.path, args });
  try {
    const pids = workers === 1 ? [server.pid] : workerPids(server.log);
    const plan = { port: server.mqttPort, qos: 1 as const, connections: 50, window: 20, payloadBytes: 128 };
    await runLoad({ ...plan, messages: warmUpMessages });
    const used = async () => ({
      supervisor: workers === 1 ? 0 : cpuSeconds(server.pid),
      workers: pids.map(cpuSeconds),
      redis: await usage.cpuSeconds(),
    });
    const before = await used();
    const load = await runLoad({ ...plan, messages });
    const after = await used();
    const perMillion = (seconds: number) => Math.round((seconds / load.messages) * 1e8) / 100;
    const ofWorkers = pids.map((_, i) => perMillion(after.workers[i]! - before.workers[i]!));
    return {
      workers,
      acksPerSecond: Math.round(load.messages / load.seconds),
      p50Ms: Math.round(load.ackMs.p50 * 100) / 100,
      p99Ms: Math.round(load.ackMs.p99 * 100) / 100,
      cpu: {
        supervisor: perMillion(after.supervisor - before.supervisor),
        workers: ofWorkers,
        redis: perMillion(after.redis - before.redis),
      },
      acksPerSecondOfBusiestWorker: Math.round(1e6 / Math.max(...ofWorkers)),
    };
  } finally {
    await server.kill();
    usage.close();
    await redis.remove();
    directory.remove();
  }
}

function workerPids(log: readonly string[]): number[] {
  const lines = log.map((line) => JSON.parse(line) as { msg: string; worker?: number; pid: number });
  return lines.filter(({ msg }) => msg === 'worker serves').map(({ pid }) => pid);
}

const best = new Map<number, WorkersRow>();
for (let round = 0; round < rounds; round++) {
  for (const workers of [1, 2]) {
    const row = await measure(workers);
    process.stdout.write(`${JSON.stringify(row)}\n`);
    if ((best.get(workers)?.acksPerSecond ?? 0) < row.acksPerSecond) best.set(workers, row);
  }
}
const ratio = (read: (row: WorkersRow) => number) => Math.round((read(best.get(2)!) / read(best.get(1)!)) * 100) / 100;
const summary = {
  cores: cpus().length,
  acksPerSecond: ratio((row) => row.acksPerSecond),
  acksPerSecondOfBusiestWorker: ratio((row) => row.acksPerSecondOfBusiestWorker),
};
process.stdout.write(`2 workers ÷ 1: ${JSON.stringify(summary)}\n`);
