import type { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { slotOf } from '../../src/store/redis/slot.ts';
import type { LogRef, Store } from '../../src/store/store.ts';
import { type RedisClusterServers, startRedisCluster } from '../support/redis-server.ts';
import { freshPrefix, plainClient } from '../support/redis-under-test.ts';
import { Appending } from './appending.ts';
import { contentOf, eventually, makeLog, storeAt } from './store-at.ts';

/** A replica that comes back is served at once, not after the 5 s in which more of them might come. */
const syncAtOnce = ['--repl-diskless-sync-delay', '0'];

async function clusterOf(masters: number, replicas: number): Promise<RedisClusterServers> {
  const cluster = await startRedisCluster(masters, replicas, { appendfsync: 'always', settings: syncAtOnce });
  onTestFinished(() => cluster.remove());
  return cluster;
}

/** A topic with four partitions, which lie on several masters. */
async function fourLogs(store: Store): Promise<LogRef[]> {
  const log = await makeLog(store, 'projects/p/topics/t', 4);
  return [0, 1, 2, 3].map((partition) => ({ ...log, partition }));
}

function clientsOf({ servers }: RedisClusterServers): Redis[] {
  const clients = servers.map(({ port }) => plainClient(port));
  onTestFinished(() => {
    for (const client of clients) client.disconnect();
  });
  return clients;
}

/** Moves a slot with its keys from one master to another, as `redis-cli --cluster reshard` does. */
async function moveSlot(slot: number, from: Redis, to: Redis, all: readonly Redis[]): Promise<void> {
  const [fromId, toId] = [`${await from.call('CLUSTER', 'MYID')}`, `${await to.call('CLUSTER', 'MYID')}`];
  await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
  await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
  for (;;) {
    const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, 1)) as string[];
    if (keys.length === 0) break;
    await from.call('MIGRATE', '127.0.0.1', to.options.port!, '', 0, 5000, 'KEYS', ...keys);
    await new Promise((resolve) => setTimeout(resolve, 20)); // so that appends meet a slot that is half moved
  }
  for (const client of [to, from, ...all]) await client.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
}

async function masterOf(slot: number, clients: readonly Redis[]): Promise<Redis> {
  for (const client of clients) {
    const ranges = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const range = ranges.find(([start, end]) => start <= slot && slot <= end)!;
    const master = clients.find(({ options }) => options.port === range[2][1]);
    if (master) return master;
  }
  throw new Error(`nobody has the slot ${slot}`);
}

describe('redis cluster', () => {
  it('redis cluster - a slot that moves in the middle of appends loses, doubles and reorders nothing (I1 I5)', async () => {
    const cluster = await clusterOf(3, 0);
    const prefix = freshPrefix();
    const store = await storeAt(cluster.url, { prefix });
    onTestFinished(() => store.close());
    const logs = await fourLogs(store);
    const clients = clientsOf(cluster);
    const slot = slotOf(`${prefix}{${logs[0]!.topicId}/0}:log`);
    const appending = new Appending(store, logs, 20);
    await appending.more(500);
    for (let round = 0; round < 3; round++) {
      const from = await masterOf(slot, clients);
      const to = clients[(clients.indexOf(from) + 1) % clients.length]!;
      await moveSlot(slot, from, to, clients);
      await appending.more(300);
    }
    await appending.stop();
    const contents = [];
    for (const log of logs) contents.push(await contentOf(store, log));
    expect(appending.faults(contents)).toEqual([]);
    expect(appending.failures).toBe(0);
  });

  it('redis cluster - with replicas waited for, a master that dies has lost nothing that was acknowledged (I1)', async () => {
    const cluster = await clusterOf(3, 1);
    const clients = clientsOf(cluster);
    await eventually(async () => {
      const infos = await Promise.all(clients.map((client) => client.info('replication')));
      return infos.filter((info) => info.includes('state=online')).length === 3;
    });
    const prefix = freshPrefix();
    const store = await storeAt(cluster.url, { prefix, link: { waitReplicas: 1, timeoutMs: 2000 } });
    onTestFinished(() => store.close());
    const logs = await fourLogs(store);
    const appending = new Appending(store, logs, 20);
    await appending.more(500);
    const slot = slotOf(`${prefix}{${logs[0]!.topicId}/0}:log`);
    const master = await masterOf(slot, clients);
    const server = cluster.servers.find(({ port }) => port === master.options.port)!;
    await server.kill();
    const others = clients.filter((client) => client !== master);
    await eventually(async () => (await masterOf(slot, others).catch(() => master)) !== master);
    await server.start(); // as a replica of the one that took over: that one, too, has to have a replica
    const before = appending.acknowledged.map(({ length }) => length);
    while (appending.acknowledged.some(({ length }, side) => length < before[side]! + 20)) await appending.more(1);
    await appending.stop();
    const contents = [];
    for (const log of logs) contents.push(await contentOf(store, log));
    expect(appending.faults(contents)).toEqual([]);
  }, 60_000);
});
