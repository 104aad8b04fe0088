import { parseArgs } from 'node:util';
import type { Redis } from 'ioredis';
import { openStore } from '../../src/store/open-store.ts';
import type { LeaseRef, LogRef, Store } from '../../src/store/store.ts';
import { subscriptionNamed } from '../contract/store.contract.ts';
import { RedisServer } from '../support/redis-server.ts';
import { plainClient } from '../support/redis-under-test.ts';
import { Tail } from './redis-tail.ts';

// npx tsx test/bench/redis-delivery.ts [--messages N --publishers N]
//
// Publish, lease, ack through the Redis adapter, in batches of 100, beside plain consumer groups on a server of the same
// kind in the same run. Publishers and consumers run side by side, each with one batch on its way, acks behind the next
// lease. What counts is Redis's own CPU time: it is what runs out first, and rates on shared machines lie.

const { values: flags } = parseArgs({ options: { messages: { type: 'string' }, publishers: { type: 'string' } } });
const messages = Number(flags.messages ?? 200_000);
const publishers = Number(flags.publishers ?? 4);
const batch = 100;
const recordBytes = 300;
const keyCount = 1000;
const record = Buffer.alloc(recordBytes, 'x');
const topic = 'projects/bench/topics/t';
const subscriptionName = (index: number) => `projects/bench/subscriptions/s${index}`;

interface Measured {
  readonly name: string;
  readonly cpuMicrosPerMessage: number;
  readonly messagesPerSecond: number;
}

interface Bench {
  readonly store: Store;
  readonly redis: Redis;
  readonly log: LogRef;
}

/** A server and a topic of its own for each figure. */
async function onAdapter<T>(subscriptions: number, run: (bench: Bench) => Promise<T>): Promise<T> {
  const server = await RedisServer.start({ appendfsync: 'everysec' });
  const store = await openStore({ url: server.url, clock: Date.now });
  const redis = plainClient(server.port);
  try {
    const { topicId } = await store.createTopic({ name: topic, labels: {} });
    for (let i = 0; i < subscriptions; i++) {
      await store.createSubscription(subscriptionNamed(subscriptionName(i), { topic }));
    }
    return await run({ store, redis, log: { topicId, partition: 0 } });
  } finally {
    redis.disconnect();
    await store.close();
    await server.remove();
  }
}

async function onGroups<T>(subscriptions: number, run: (redis: Redis) => Promise<T>): Promise<T> {
  const server = await RedisServer.start({ appendfsync: 'everysec' });
  const redis = plainClient(server.port);
  for (let i = 0; i < subscriptions; i++) await redis.xgroup('CREATE', 'log', `g${i}`, '$', 'MKSTREAM');
  try {
    return await run(redis);
  } finally {
    redis.disconnect();
    await server.remove();
  }
}

/** @param move publishes that many messages and has every subscription ack them; the first tenth warms up */
async function measure(name: string, redis: Redis, move: (count: number) => Promise<void>): Promise<Measured> {
  await move(messages / 10);
  const before = await cpuMicros(redis);
  const startMs = performance.now();
  await move(messages);
  const seconds = (performance.now() - startMs) / 1000;
  const cpuMicrosPerMessage = ((await cpuMicros(redis)) - before) / messages;
  return { name, cpuMicrosPerMessage, messagesPerSecond: Math.round(messages / seconds) };
}

async function cpuMicros(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const seconds = (field: string) => Number(new RegExp(`^${field}:(\\S+)`, 'm').exec(info)![1]);
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6;
}

/** Several publishers share `count` messages, one batch on its way each. */
async function publishAll(count: number, publish: () => Promise<unknown>): Promise<void> {
  let left = count / batch;
  const publisher = async () => {
    while (left-- > 0) await publish();
  };
  await Promise.all(Array.from({ length: publishers }, publisher));
}

function groups(subscriptions: number): Promise<Measured> {
  return onGroups(subscriptions, (redis) =>
    measure(`consumer groups, ${subscriptions} subscriptions`, redis, async (count) => {
      const consumers = Array.from({ length: subscriptions }, (_, i) => consumeGroup(redis, i, count));
      await Promise.all([publishAll(count, () => addToStream(redis, record)), ...consumers]);
    }),
  );
}

async function addToStream(redis: Redis, payload: Buffer): Promise<void> {
  const pipeline = redis.pipeline();
  for (let i = 0; i < batch; i++) pipeline.xadd('log', '*', 'd', payload);
  await pipeline.exec();
}

async function consumeGroup(redis: Redis, index: number, count: number): Promise<void> {
  const acks: Promise<unknown>[] = [];
  for (let left = count; left > 0; ) {
    const ids = await readGroup(redis, index);
    left -= ids.length;
    if (ids.length > 0) acks.push(redis.xack('log', `g${index}`, ...ids));
  }
  await Promise.all(acks);
}

async function readGroup(redis: Redis, index: number): Promise<string[]> {
  const group = ['GROUP', `g${index}`, 'c', 'COUNT', batch, 'STREAMS', 'log', '>'];
  const read = (await redis.callBuffer('XREADGROUP', ...group)) as [Buffer, [Buffer, Buffer[]][]][] | null;
  return read ? read[0]![1].map(([id]) => id.toString()) : [];
}

/**
 * What a node does: it reads what was appended once, whatever the number of subscriptions; each leases and acks.
 * @param behind leases that each consumer leaves unacked
 */
function adapter(name: string, subscriptions: number, lanes?: () => Uint32Array, behind = 0): Promise<Measured> {
  const records = new Array<Buffer>(batch).fill(record);
  return onAdapter(subscriptions, ({ store, redis, log }) => {
    const tail = new Tail(store, log);
    const consumers = Array.from({ length: subscriptions }, (_, i) => new Consumer(store, i, tail, lanes, behind));
    return measure(name, redis, async (count) => {
      const publishing = publishAll(count, () => tail.append(records));
      await Promise.all([publishing, ...consumers.map((consumer) => consumer.consume(count))]);
    });
  });
}

/** One puller of one subscription. */
class Consumer {
  readonly #store: Store;
  readonly #at: { subscription: string; partition: number };
  readonly #tail: Tail;
  readonly #lanes: (() => Uint32Array) | undefined;
  readonly #behind: number;
  readonly #laneOf = [0];
  #cursor = 1;
  #leased = 0;

  constructor(store: Store, index: number, tail: Tail, lanes: (() => Uint32Array) | undefined, behind: number) {
    this.#store = store;
    this.#at = { subscription: subscriptionName(index), partition: 0 };
    this.#tail = tail;
    this.#lanes = lanes;
    this.#behind = behind;
  }

  async consume(count: number): Promise<void> {
    const unacked: LeaseRef[][] = [];
    const acks: Promise<unknown>[] = [];
    for (let left = count; left > 0; ) {
      const refs = await this.lease();
      left -= refs.length;
      if (refs.length > 0) unacked.push(refs);
      const keep = left > 0 && refs.length > 0 ? this.#behind : 0;
      while (unacked.length > keep) acks.push(this.#store.ack(this.#at, unacked.shift()!, { strict: false }));
      if (refs.length === 0) await acks.at(-1);
    }
    await Promise.all(acks);
  }

  async lease(): Promise<LeaseRef[]> {
    const from = this.#cursor;
    const waits = from - 1 > this.#leased; // behind their keys: due by themselves
    const end = waits ? Math.max(from, this.#tail.end) : await this.#tail.read(from);
    const grant = await this.#store.lease(this.#at, {
      messagesMax: batch,
      ackDeadlineMs: 600_000,
      retry: undefined,
      keepAttempts: false,
      fresh: { from, count: Math.min(end - from, 10 * batch), ...(this.#lanes && { lanes: this.#lanesOf(from, end) }) },
    });
    this.#cursor = grant.cursor;
    const refs = grant.blocks.flatMap(({ block, offsets }) =>
      offsets.map((offset, index) => ({ epoch: grant.epoch, block, index, offset })),
    );
    this.#leased += refs.length;
    return refs;
  }

  #lanesOf(from: number, end: number): Uint32Array {
    while (this.#laneOf.length < end) for (const lane of this.#lanes!()) this.#laneOf.push(lane);
    return Uint32Array.from(this.#laneOf.slice(from, Math.min(end, from + 10 * batch)));
  }
}

function randomLanes(): Uint32Array {
  return Uint32Array.from({ length: batch }, () => 1 + Math.floor(Math.random() * keyCount) * 4_000_037);
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))![1]);
}

/** Bytes that Redis needs more for each message that is leased and not acked. */
function outstandingBytes(count: number): Promise<number> {
  return onAdapter(1, async ({ store, redis, log }) => {
    const tail = new Tail(store, log);
    for (let sent = 0; sent < count; sent += 10_000) {
      await tail.append(new Array<Buffer>(10_000).fill(Buffer.from('x')));
    }
    const consumer = new Consumer(store, 0, tail, undefined, 0);
    const before = await usedMemory(redis);
    for (let leased = 0; leased < count; ) leased += (await consumer.lease()).length;
    return ((await usedMemory(redis)) - before) / count;
  });
}

function groupsOutstandingBytes(count: number): Promise<number> {
  return onGroups(1, async (redis) => {
    for (let sent = 0; sent < count; sent += batch) await addToStream(redis, Buffer.from('x'));
    const before = await usedMemory(redis);
    for (let sent = 0; sent < count; sent += batch) await readGroup(redis, 0);
    return ((await usedMemory(redis)) - before) / count;
  });
}

function show(text: string): void {
  process.stdout.write(`${text}\n`);
}

function told({ name, cpuMicrosPerMessage, messagesPerSecond }: Measured): string {
  return `${name.padEnd(52)} ${cpuMicrosPerMessage.toFixed(2).padStart(8)} µs/message ${String(messagesPerSecond).padStart(9)}/s`;
}

async function main(): Promise<void> {
  const figures: Record<string, Measured> = {};
  const run = async (key: string, measuring: Promise<Measured>) => {
    figures[key] = await measuring;
    show(told(figures[key]));
  };
  await run('groups1', groups(1));
  await run('one', adapter('lease blocks, 1 subscription', 1));
  await run('groups4', groups(4));
  await run('four', adapter('lease blocks, 4 subscriptions', 4));
  await run('keyed', adapter(`lease blocks, 1 subscription, ${keyCount} keys`, 1, randomLanes));
  await run('crowded', adapter(`the same, 5 batches unacked (many keys wait)`, 1, randomLanes, 5));
  const ratio = (a: string, b: string) => figures[a]!.cpuMicrosPerMessage / figures[b]!.cpuMicrosPerMessage;
  show(`messages per Redis CPU second beside consumer groups, 1 subscription: ${ratio('groups1', 'one').toFixed(2)}`);
  show(`                                                   4 subscriptions: ${ratio('groups4', 'four').toFixed(2)}`);
  show(
    `Redis CPU per message, ordered beside unordered: ${ratio('keyed', 'one').toFixed(2)}; crowded ${ratio('crowded', 'one').toFixed(2)}`,
  );
  for (const count of [100_000, 500_000]) {
    show(`bytes per outstanding message, ${count}: ${(await outstandingBytes(count)).toFixed(2)}`);
  }
  show(`consumer groups: ${(await groupsOutstandingBytes(100_000)).toFixed(1)}`);
}

await main();
