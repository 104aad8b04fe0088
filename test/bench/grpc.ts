import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RestClient } from '../support/rest-client.ts';
import { startServer } from '../support/start-server.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { startEmulator } from './emulator.ts';
import type { GrpcLoadPlan, GrpcLoadResult } from './grpc-load.ts';
import { cpuSeconds } from './process-usage.ts';
import { rawLmdbPuts } from './raw-lmdb.ts';
import { type Measured, methodOf, type Row, rowOf, tableOf } from './report.ts';

// npx tsx test/bench/grpc.ts [--quick]
//
// One StreamingPull that acks everything, 1 KB messages published in batches of 100 by 4 publishers, on a durable server;
// and the latency from publish to arrival at 1,000 messages a second. Beside Google's emulator, which keeps its messages
// in memory, when it is on the machine.

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean' } } });
const payloadBytes = 1024;
const messages = flags.quick ? 50_000 : 300_000;
const warmUpMessages = 30_000;
const project = 'projects/headwater';

interface Target {
  readonly pid: number;
  readonly httpUrl: string;
}

type Load = 'grpc-load.ts' | 'grpc-google-load.ts';

/** On a topic of its own, so that runs do not see each other's messages. */
async function measured(target: Target, load: Load, own: Partial<GrpcLoadPlan>): Promise<Measured> {
  const rest = new RestClient(target.httpUrl);
  const id = `bench-${Math.random().toString(36).slice(2)}`;
  await rest.createTopic(id);
  await rest.createSubscription(id, id, { ackDeadlineSeconds: 60 });
  const plan: GrpcLoadPlan = {
    address: target.httpUrl.replace('http://', ''),
    topic: `${project}/topics/${id}`,
    subscription: `${project}/subscriptions/${id}`,
    ...{ publishers: 4, window: 1, batch: 100, messages, payloadBytes, acks: 'unary' },
    ...own,
  };
  const startSeconds = cpuSeconds(target.pid);
  const { seconds, latenciesMs } = await runApart(load, plan);
  return { messages: plan.messages, seconds, latenciesMs, cpuSeconds: cpuSeconds(target.pid) - startSeconds };
}

async function runApart(load: Load, plan: GrpcLoadPlan): Promise<GrpcLoadResult> {
  const child = fork(join(import.meta.dirname, load), [JSON.stringify(plan)], { execArgv: ['--import', 'tsx'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${load} ended with ${code} before it had a result.`);
  });
  const [result] = await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => undefined); // now it may
  child.disconnect();
  return result as GrpcLoadResult;
}

const atThousand = { window: 8, batch: 1, batchesPerSecond: 1000, messages: flags.quick ? 3000 : 10_000 };

type Add = (name: string, result: Measured) => void;

async function ofHeadwater(add: Add): Promise<void> {
  const directory = makeTempDirectory();
  const server = await startServer({ dataDir: directory.path, args: ['--log-level', 'warn'] });
  try {
    await measured(server, 'grpc-load.ts', { messages: warmUpMessages });
    add('StreamingPull, acked by Acknowledge', await measured(server, 'grpc-load.ts', {}));
    add('StreamingPull, acked on the stream', await measured(server, 'grpc-load.ts', { acks: 'stream' }));
    add('4 requests under way for each publisher', await measured(server, 'grpc-load.ts', { window: 4 }));
    add("the same work by Google's client", await measured(server, 'grpc-google-load.ts', { messages: messages / 5 }));
    add('1,000 messages a second', await measured(server, 'grpc-load.ts', atThousand));
  } finally {
    await server.kill();
    directory.remove();
  }
}

async function ofEmulator(add: Add): Promise<void> {
  const emulator = await startEmulator();
  if (!emulator) return void process.stderr.write("Google's emulator is not on this machine\n");
  try {
    const some = { messages: messages / 10 };
    add("Google's emulator: StreamingPull, in memory", await measured(emulator, 'grpc-load.ts', some));
    add("Google's emulator: 1,000 messages a second", await measured(emulator, 'grpc-load.ts', atThousand));
  } finally {
    emulator.stop();
  }
}

async function main(): Promise<void> {
  const raw = await rawLmdbPuts(messages, payloadBytes);
  const rows: Row[] = [];
  const add = (name: string, result: Measured) => {
    rows.push(rowOf(name, result, raw));
    process.stderr.write(`${name} done\n`);
  };
  add('raw LMDB, 1,000 puts a transaction', raw);
  await ofHeadwater(add);
  await ofEmulator(add);
  process.stdout.write(`${tableOf(rows)}\n\n${JSON.stringify(methodOf(payloadBytes))}\n`);
}

await main();
