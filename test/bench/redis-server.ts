import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisServer } from '../support/redis-server.ts';
import { RestClient } from '../support/rest-client.ts';
import { type RunningServer, startServer } from '../support/start-server.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { cpuSeconds } from './process-usage.ts';
import { RedisUsage } from './redis-usage.ts';
import type { Measured } from './report.ts';
import { runLoad } from './run-load.ts';

/** A Headwater on a Redis of its own. */
interface OnRedis {
  readonly server: RunningServer;
  readonly usage: RedisUsage;
}

async function onRedis<T>(appendfsync: 'always' | 'everysec', bench: (on: OnRedis) => Promise<T>): Promise<T> {
  const redis = await RedisServer.start({ appendfsync });
  const directory = makeTempDirectory();
  const usage = new RedisUsage(redis.port);
  const args = ['--store', redis.url, '--log-level', 'warn', '--http-connections-max', '20000'];
  const server = await startServer({ dataDir: directory.path, args });
  try {
    return await bench({ server, usage });
  } finally {
    await server.kill();
    usage.close();
    await redis.remove();
    directory.remove();
  }
}

/** QoS 1 with every acknowledgement fsynced by Redis; CPU of the server and of Redis together. */
export function redisIngest(messages: number, payloadBytes: number): Promise<Measured> {
  return onRedis('always', async ({ server, usage }) => {
    const plan = { port: server.mqttPort, qos: 1 as const, connections: 50, window: 20, payloadBytes };
    await runLoad({ ...plan, messages: Math.min(messages, 50_000) });
    const used = async () => cpuSeconds(server.pid) + (await usage.cpuSeconds());
    const startSeconds = await used();
    const load = await runLoad({ ...plan, messages });
    const { seconds, ackMs } = load;
    return { messages: load.messages, seconds, latenciesMs: ackMs, cpuSeconds: (await used()) - startSeconds };
  });
}

export interface Wakes {
  readonly topics: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly redisMicrosecondsPerWake: number;
}

/**
 * A pull waits on each of `topics` topics; single messages are published to random ones. From the publish request to the
 * answer of the pull, both over REST.
 */
export function redisWakes(topics: number, publishes: number): Promise<Wakes> {
  return onRedis('everysec', async ({ server, usage }) => {
    const rest = new RestClient(server.httpUrl);
    await inParallel(topics, async (index) => {
      await rest.createTopic(`topic-${index}`);
      await rest.createSubscription(`sub-${index}`, `topic-${index}`, { ackDeadlineSeconds: 600 });
    });
    const pulls = Array.from({ length: topics }, (_, index) => rest.pull(`sub-${index}`, 1));
    await rested();
    const idleShare = await idleCpuShare(usage);
    const wake = async (publish: number) => {
      const index = (publish * 7919) % topics;
      const sentMs = performance.now();
      const [received] = await Promise.all([pulls[index]!, rest.publish(`topic-${index}`, [{ data: 'eA==' }])]);
      if (received.length !== 1) throw new Error(`A pull came back with ${received.length} messages.`);
      pulls[index] = rest.pull(`sub-${index}`, 1);
      return performance.now() - sentMs;
    };
    const latenciesMs: number[] = [];
    for (let publish = 0; publish < publishes; publish++) latenciesMs.push(await wake(publish));
    const redisMicrosecondsPerWake = await redisCostPerWake(usage, idleShare, topics, publishes, wake);
    for (const pull of pulls) pull.catch(() => {}); // the server is killed under them
    latenciesMs.sort((a, b) => a - b);
    const at = (q: number) => latenciesMs[Math.floor(q * (latenciesMs.length - 1))]!;
    return { topics, p50Ms: at(0.5), p99Ms: at(0.99), redisMicrosecondsPerWake };
  });
}

/** Redis CPU of publish, wake, lease and the next pull's look, without what the waiting pulls cost by themselves. */
async function redisCostPerWake(
  usage: RedisUsage,
  idleShare: number,
  topics: number,
  publishes: number,
  wake: (publish: number) => Promise<number>,
): Promise<number> {
  const rounds = Math.ceil(publishes / Math.min(topics, 8));
  const startSeconds = await usage.cpuSeconds();
  const startMs = performance.now();
  for (let round = 0; round < rounds; round++) {
    const width = Math.min(topics, 8);
    await Promise.all(Array.from({ length: width }, (_, i) => wake(round * width + i)));
  }
  const seconds = (await usage.cpuSeconds()) - startSeconds;
  const idleSeconds = (idleShare * (performance.now() - startMs)) / 1000;
  return Math.round(((seconds - idleSeconds) / (rounds * Math.min(topics, 8))) * 1e6);
}

/** CPU seconds a second that waiting pulls cost by themselves: each looks now and then without a reason. */
async function idleCpuShare(usage: RedisUsage): Promise<number> {
  const windowMs = 8000; // as long as the longest pause between two such looks
  const before = await usage.cpuSeconds();
  await sleep(windowMs);
  return (((await usage.cpuSeconds()) - before) * 1000) / windowMs;
}

/** Time for the pulls to arrive, to find nothing, and to look as seldom as they ever do. */
function rested(): Promise<void> {
  return sleep(15_000);
}

async function inParallel(count: number, job: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) await job(index);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
}
