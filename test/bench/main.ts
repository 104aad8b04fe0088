import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RestClient } from '../support/rest-client.ts';
import { type RunningServer, startServer } from '../support/start-server.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { startEmulator } from './emulator.ts';
import { measureMemory } from './memory.ts';
import { cpuSeconds } from './process-usage.ts';
import { pushBacklog } from './push.ts';
import { rawLmdbPuts } from './raw-lmdb.ts';
import { redisIngest, redisWakes } from './redis-server.ts';
import { type Measured, methodOf, type Row, rowOf, tableOf } from './report.ts';
import { runLoad } from './run-load.ts';

// npm run bench [-- --quick --json FILE]
//
// Ingest over MQTT at each QoS, pull and acknowledge over REST, and both at once, each on a server of its own with an
// empty store; every figure beside raw LMDB in the same run, because machines are shared and single rates lie. Redis:
// ingest, and waking a pull among 10 and among 5,000 that wait.
//
// Beside it, each with its own bars and peers: redis-delivery.ts (leases against consumer groups), workers.ts (two
// processes against one), grpc.ts (StreamingPull against Google's emulator); run with npx tsx after a build.

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'string' } } });
const payloadBytes = 128;
const messages = flags.quick ? 50_000 : 500_000;
/** Until the server's code is compiled: a server that runs for days is measured, not one that starts. */
const warmUpMessages = 50_000;
/** It is slow; more would only take longer. */
const emulatorMessages = flags.quick ? 5_000 : 20_000;
const pullSize = 1000;
const subscription = 'bench';

type Bench = (server: RunningServer, rest: RestClient, begin: () => void) => Promise<Omit<Measured, 'cpuSeconds'>>;

/** Runs `bench` against a fresh server and adds the CPU time that the server used since it began. */
async function onServer(bench: Bench): Promise<Measured> {
  const directory = makeTempDirectory();
  const server = await startServer({ dataDir: directory.path, args: ['--log-level', 'warn'] });
  try {
    let startSeconds = 0;
    const begin = () => {
      startSeconds = cpuSeconds(server.pid);
    };
    begin();
    const measured = await bench(server, new RestClient(server.httpUrl), begin);
    return { ...measured, cpuSeconds: cpuSeconds(server.pid) - startSeconds };
  } finally {
    await server.kill();
    directory.remove();
  }
}

function ingest(qos: 0 | 1 | 2, connections = 50, window = 20): Promise<Measured> {
  return onServer(async (server, _rest, begin) => {
    const plan = { port: server.mqttPort, qos, connections, window, payloadBytes };
    const warmUp = await runLoad({ ...plan, messages: warmUpMessages });
    if (qos === 0) await recordsReach(server, warmUp.messages);
    begin();
    const load = await runLoad({ ...plan, messages });
    if (qos === 0) await recordsReach(server, warmUp.messages + load.messages);
    return { messages: load.messages, seconds: load.seconds, latenciesMs: load.ackMs };
  });
}

/** A backlog first, then 1,000 at a time until it is gone. */
function pullAndAck(): Promise<Measured> {
  return onServer(async (server, rest, begin) => {
    await rest.createSubscription(subscription, 'telemetry');
    const plan = { port: server.mqttPort, qos: 1 as const, connections: 50, window: 20, payloadBytes };
    await runLoad({ ...plan, messages: messages + warmUpMessages });
    await drain(rest, warmUpMessages);
    begin();
    const startMs = performance.now();
    const latenciesMs = await drain(rest, messages);
    return { messages, seconds: (performance.now() - startMs) / 1000, latenciesMs };
  });
}

/** Publishers and a consumer at the same time: from PUBLISH to ack. */
function pipeline(): Promise<Measured> {
  return onServer(async (server, rest, begin) => {
    await rest.createSubscription(subscription, 'telemetry');
    const plan = { port: server.mqttPort, qos: 1 as const, connections: 50, window: 20, payloadBytes };
    await Promise.all([runLoad({ ...plan, messages: warmUpMessages }), drain(rest, warmUpMessages)]);
    begin();
    const startMs = performance.now();
    const [load] = await Promise.all([runLoad({ ...plan, messages }), drain(rest, messages)]);
    return { messages, seconds: (performance.now() - startMs) / 1000, latenciesMs: load.ackMs };
  });
}

/** The same pulls against Google's emulator, which keeps its messages in memory; published over REST. */
async function emulatorPullAndAck(): Promise<Measured | undefined> {
  const emulator = await startEmulator();
  if (!emulator) return undefined;
  try {
    const rest = new RestClient(emulator.httpUrl);
    await rest.createTopic('telemetry');
    await rest.createSubscription(subscription, 'telemetry', { ackDeadlineSeconds: 600 });
    const data = Buffer.alloc(payloadBytes, 'x').toString('base64');
    const batch = Array.from({ length: pullSize }, () => ({ data }));
    for (let sent = 0; sent < emulatorMessages; sent += pullSize) await rest.publish('telemetry', batch);
    const startSeconds = cpuSeconds(emulator.pid);
    const startMs = performance.now();
    const latenciesMs = await drain(rest, emulatorMessages);
    const seconds = (performance.now() - startMs) / 1000;
    return { messages: emulatorMessages, seconds, latenciesMs, cpuSeconds: cpuSeconds(emulator.pid) - startSeconds };
  } finally {
    emulator.stop();
  }
}

async function drain(rest: RestClient, count: number): Promise<number[]> {
  const latenciesMs: number[] = [];
  let acked = 0;
  while (acked < count) {
    const startMs = performance.now();
    const received = await rest.pull(subscription, pullSize);
    if (received.length === 0) throw new Error(`The backlog ended after ${acked} of ${count} messages.`);
    await rest.acknowledge(
      subscription,
      received.map(({ ackId }) => ackId),
    );
    latenciesMs.push(performance.now() - startMs);
    acked += received.length;
  }
  return latenciesMs;
}

/** QoS 0 is not acknowledged: what counts is what the store has. */
async function recordsReach(server: RunningServer, count: number): Promise<void> {
  for (let last = -1; ; ) {
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
    const records = Number(/^headwater_store_records_total (\d+)/m.exec(metrics)?.[1] ?? 0);
    if (records >= count) return;
    if (records === last) throw new Error(`Only ${records} of ${count} QoS 0 messages were stored.`);
    last = records;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function main(): Promise<void> {
  const raw = await rawLmdbPuts(messages, payloadBytes);
  const rows: Row[] = [];
  const add = (name: string, measured: Measured) => {
    rows.push(rowOf(name, measured, raw));
    process.stderr.write(`${name} done\n`);
  };
  add('raw LMDB, 1,000 puts a transaction', raw);
  add('ingest QoS 0, 50 connections', await ingest(0));
  add('ingest QoS 1, 50 × window 20', await ingest(1));
  add('ingest QoS 2, 50 × window 20', await ingest(2));
  add('ingest QoS 1 on Redis, appendfsync always, server and Redis', await redisIngest(messages, payloadBytes));
  add('pull and ack over REST, 1,000 at a time', await pullAndAck());
  const emulator = await emulatorPullAndAck();
  if (emulator) add("Google's emulator: the same pulls, in memory", emulator);
  else process.stderr.write("Google's emulator is not on this machine\n");
  add('pipeline: QoS 1 in, pull and ack out', await pipeline());
  add(
    'push to an endpoint that takes everything',
    await onServer((_server, rest, begin) => pushBacklog(rest, emulatorMessages, begin)),
  );
  const memory = await measureMemory(flags.quick ? 100_000 : 1_000_000, flags.quick ? 10_000 : 100_000);
  const wakes = [await redisWakes(10, flags.quick ? 500 : 2000), await redisWakes(5000, flags.quick ? 500 : 2000)];
  const method = methodOf(payloadBytes);
  const told = [tableOf(rows), '', ...[memory, ...wakes, method].map((line) => JSON.stringify(line))];
  process.stdout.write(`${told.join('\n')}\n`);
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify({ method, rows, memory, wakes }, null, 2)}\n`);
}

await main();
