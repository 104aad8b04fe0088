import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { subscriptionNamed } from '../contract/store.contract.ts';
import { RedisServer } from '../support/redis-server.ts';
import { freshPrefix, plainClient } from '../support/redis-under-test.ts';
import { eventually, makeLog, storeAt, topicName } from './store-at.ts';

const subscription = subscriptionNamed('projects/p/subscriptions/s');
const sub = { subscription: subscription.name, partition: 0 };
const record = Buffer.from('m');

describe('redis nodes', () => {
  let redis: RedisServer;
  const stores: Store[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });

  async function node(prefix: string): Promise<Store> {
    const store = await storeAt(redis.url, { prefix });
    stores.push(store);
    return store;
  }

  async function twoNodes(): Promise<[Store, Store]> {
    const prefix = freshPrefix();
    return [await node(prefix), await node(prefix)];
  }

  it('redis nodes - hear what another changes in the catalogue, once each, and not their own changes twice', async () => {
    const [a, b] = await twoNodes();
    const heardByA: (string | undefined)[] = [];
    const heardByB: (string | undefined)[] = [];
    a.onCatalogChange((name) => heardByA.push(name));
    b.onCatalogChange((name) => heardByB.push(name));
    await a.createTopic({ name: topicName, labels: {} });
    await b.createSubscription(subscription);
    await a.deleteTopic(topicName);
    const all = [topicName, subscription.name, topicName, subscription.name];
    await eventually(() => heardByA.length === 4 && heardByB.length === 4);
    expect(heardByA).toEqual(all);
    expect(heardByB).toEqual(all);
  });

  it('redis nodes - are told when word from others may have been lost', async () => {
    const [a] = await twoNodes();
    const heard: (string | undefined)[] = [];
    a.onCatalogChange((name) => heard.push(name));
    const meddler = plainClient(redis.port);
    await meddler.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => heard.length === 2);
    meddler.disconnect();
    expect(heard).toEqual([undefined, undefined]); // lost; and back, with whatever was missed in between
  });

  it('redis nodes - wake whoever waits on another node', async () => {
    const [a, b] = await twoNodes();
    const log = await makeLog(a);
    let wakes = 0;
    b.onWake(log, () => wakes++);
    await eventually(() => wakes === 1); // it listens now
    await a.append(log, [record]);
    await eventually(() => wakes === 2);
  });

  it('redis nodes - serve one subscription together: each message once, acked on any of them (I4 I11)', async () => {
    const [a, b] = await twoNodes();
    const log = await makeLog(a);
    await a.createSubscription(subscription);
    await a.append(
      log,
      Array.from({ length: 10 }, () => record),
    );
    const request = { messagesMax: 10, ackDeadlineMs: 10_000, retry: undefined, keepAttempts: false };
    const lease = (store: Store) => store.lease(sub, { ...request, fresh: { from: 1, count: 10 } });
    const grants = await Promise.all([lease(a), lease(b)]);
    const blocks = grants.flatMap((grant) => grant.blocks);
    expect(blocks.flatMap(({ offsets }) => offsets)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const [{ block, offsets }] = blocks as [(typeof blocks)[0]];
    const refs = offsets.map((offset, index) => ({ epoch: grants[0]!.epoch, block, index, offset }));
    expect(await b.ack(sub, refs, { strict: true })).toEqual(refs.map(() => 'ok'));
    expect(await a.stats(subscription.name)).toMatchObject({ backlog: 0, outstanding: 0 });
  });

  it('redis nodes - do not hear another deployment on the same server, nor see what it has', async () => {
    const [a, b] = [await node(freshPrefix()), await node(freshPrefix())];
    const log = await makeLog(a);
    const heard: unknown[] = [];
    b.onCatalogChange((name) => heard.push(name));
    b.onWake(log, () => heard.push('wake'));
    await eventually(() => heard.length === 1); // it listens now
    await a.append(log, [record]);
    await a.deleteTopic(topicName);
    expect(await b.listTopics({ prefix: '', limit: 10 })).toEqual({ items: [], more: false });
    await b.createTopic({ name: topicName, labels: {} });
    expect(heard).toEqual(['wake', topicName]);
  });

  it('redis nodes - refuse an append to a topic that another deleted, and find a name again that has a new id', async () => {
    const [a, b] = await twoNodes();
    const log = await makeLog(a);
    await a.createSubscription(subscription);
    const request = { messagesMax: 10, ackDeadlineMs: 10_000, retry: undefined, keepAttempts: false };
    await b.append(log, [record]);
    expect(await b.lease(sub, request)).toMatchObject({ cursor: 1, head: 2 });
    await a.deleteSubscription(subscription.name);
    await expect(b.lease(sub, request)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await a.createSubscription(subscription);
    expect(await b.lease(sub, request)).toMatchObject({ cursor: 2, head: 2 });
    await a.deleteTopic(topicName);
    await expect(b.append(log, [record])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('redis nodes - take no append any more that was placed among fewer partitions (I5)', async () => {
    const [a, b] = await twoNodes();
    const log = await makeLog(a, topicName, 2);
    await a.createSubscription(subscription);
    await b.append(log, [record], undefined, 2);
    await a.setPartitions(topicName, 4);
    await expect(b.append(log, [record], undefined, 2)).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await b.append(log, [record], undefined, 4)).firstOffset).toBe(2);
    expect((await b.append({ ...log, partition: 3 }, [record], undefined, 4)).firstOffset).toBe(1);
    expect(await b.stats(subscription.name)).toMatchObject({ backlog: 3 });
    await expect(a.setPartitions(topicName, 3)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('redis nodes - complete a growth that another died in, as soon as it is in the way', async () => {
    const prefix = freshPrefix();
    const a = await node(prefix);
    const log = await makeLog(a, topicName, 2);
    await a.createSubscription(subscription);
    const meddler = plainClient(redis.port);
    await meddler.hset(`${prefix}{${log.topicId}/0}:m`, 'p', 4); // as far as the dead node came
    meddler.disconnect();
    await expect(a.append(log, [record], undefined, 2)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await a.topic(topicName)).toMatchObject({ partitions: 4 });
    await a.append({ ...log, partition: 3 }, [record], undefined, 4);
    expect(await a.stats(subscription.name)).toMatchObject({ backlog: 1 });
  });

  it('redis nodes - a subscription made while the topic grows has every partition (I3)', async () => {
    const [a, b] = await twoNodes();
    const { topicId } = await makeLog(a);
    for (let round = 2; round < 12; round++) {
      const name = `projects/p/subscriptions/s${round}`;
      await Promise.all([a.setPartitions(topicName, round), b.createSubscription(subscriptionNamed(name))]);
      const before = (await a.stats(name)).backlog;
      for (let partition = 0; partition < round; partition++) await a.append({ topicId, partition }, [record]);
      expect((await b.stats(name)).backlog - before).toBe(round);
    }
  });

  it('redis nodes - a name is made once, and what the others began to make is gone', async () => {
    const prefix = freshPrefix();
    const [a, b] = [await node(prefix), await node(prefix)];
    const asked = [a, b, a, b].map((store) => store.createTopic({ name: topicName, labels: {} }, 3));
    const settled = await Promise.allSettled(asked);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const meddler = plainClient(redis.port);
    const logs = await meddler.keys(`${prefix.replace(/[[\]*?]/g, '')}{t*}:m`);
    meddler.disconnect();
    expect(logs).toHaveLength(3);
  });

  it('redis nodes - a log is not trimmed while another makes a snapshot, nor for ever when that one died (I3)', async () => {
    const prefix = freshPrefix();
    const store = await node(prefix);
    const log = await makeLog(store);
    await store.append(log, [record]);
    const meddler = plainClient(redis.port);
    const holds = `${prefix}{${log.topicId}/0}:hold`;
    await meddler.zadd(holds, Date.now() + 60_000, 'n1');
    await store.trim(log, 2);
    expect(await store.watermarks(log)).toMatchObject({ first: 1 });
    await meddler.zadd(holds, Date.now() - 1, 'n1');
    meddler.disconnect();
    await store.trim(log, 2);
    expect(await store.watermarks(log)).toMatchObject({ first: 2 });
  });

  it('redis nodes - a trim that meets a snapshot in the making leaves the log alone (I3)', async () => {
    const [a, b] = await twoNodes();
    const log = await makeLog(a);
    await a.createSubscription(subscription);
    for (let round = 0; round < 30; round++) {
      const name = `projects/p/snapshots/n${round}`;
      const head = (await a.append(log, [record])).firstOffset + 1;
      const trimming = b.watermarks(log).then(async ({ subscriptions, snapshots }) => {
        const marks = [...subscriptions, ...snapshots].map(({ firstUnacked }) => firstUnacked);
        await b.trim(log, Math.min(head, ...marks));
      });
      const snapshot = { name, topic: topicName, labels: {}, expireMs: 0 };
      await Promise.all([a.createSnapshot(snapshot, subscription.name), trimming]);
      await a.seekSnapshot(subscription.name, name);
      const { first, subscriptions } = await a.watermarks(log);
      expect(subscriptions[0]!.firstUnacked).toBeGreaterThanOrEqual(first);
      await a.skipTo(sub, head);
      await a.deleteSnapshot(name);
    }
  });
});
