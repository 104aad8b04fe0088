import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import { type OpenPubSub, openPubSub } from '../../src/pubsub/open-pubsub.ts';
import type { ReceivedMessage } from '../../src/pubsub/pubsub.ts';
import { openMovableAddress } from '../support/movable-address.ts';
import { RedisServer } from '../support/redis-server.ts';
import { plainClient } from '../support/redis-under-test.ts';
import { eventually, makeLog, storeAt } from './store-at.ts';

const topicName = 'projects/p/topics/telemetry';
const worker = 'projects/p/subscriptions/worker';
const message = (text: string) => ({ data: Buffer.from(text), attributes: {}, orderingKey: '' });
const textsOf = (messages: readonly ReceivedMessage[]) => messages.map((it) => `${Buffer.from(it.message.data)}`);
const ackIdsOf = (messages: readonly ReceivedMessage[]) => messages.map(({ ackId }) => ackId);
const pull = (node: OpenPubSub, waitMs = 5000) =>
  node.subscriber.pull(worker, { messagesMax: 100, bytesMax: 1_000_000 }, AbortSignal.timeout(waitMs));

const request = { messagesMax: 10, ackDeadlineMs: 10_000, retry: undefined, keepAttempts: false };

async function redis(): Promise<RedisServer> {
  const settings = ['--repl-diskless-sync-delay', '0'];
  const server = await RedisServer.start({ appendfsync: 'always', settings });
  onTestFinished(() => server.remove());
  return server;
}

async function replicate(replica: RedisServer, masterPort: number): Promise<void> {
  const client = plainClient(replica.port);
  await client.call('REPLICAOF', '127.0.0.1', masterPort);
  await eventually(async () => `${await client.call('INFO', 'replication')}`.includes('master_link_status:up'));
  client.disconnect();
}

interface Deployment {
  readonly nodes: readonly [OpenPubSub, OpenPubSub];
  /** From now on the replica gets nothing, so the master confirms nothing. */
  partReplica(): void;
  /** The master dies, its replica takes over and gets a replica of its own. */
  failOver(): Promise<void>;
}

/** Two nodes that wait for one replica, on one topic with one subscription. */
async function deployment(exactlyOnce: boolean): Promise<Deployment> {
  const [master, replica, third] = [await redis(), await redis(), await redis()];
  const between = await openMovableAddress(master.port);
  const front = await openMovableAddress(master.port);
  await replicate(replica, between.port);
  const options = { prefix: 'f:', link: { waitReplicas: 1 }, limits: { commitDeadlineMs: 1000 } };
  const nodes = await Promise.all([0, 1].map(() => openNode(front.url, options)));
  onTestFinished(() => [between, front].forEach((address) => void address.close()));
  const [a, b] = [nodes[0]!, nodes[1]!];
  await a.topics.create({ name: topicName, labels: {} });
  const settings = { name: worker, topic: topicName, enableExactlyOnceDelivery: exactlyOnce, ackDeadlineMs: 600_000 };
  await a.subscriptions.create(subscriptionWithDefaults(settings));
  return {
    nodes: [a, b],
    partReplica: () => between.silence(),
    async failOver() {
      await master.kill();
      const client = plainClient(replica.port);
      await client.call('REPLICAOF', 'NO', 'ONE');
      client.disconnect();
      await replicate(third, replica.port);
      front.moveTo(replica.port);
    },
  };
}

async function openNode(url: string, options: Parameters<typeof storeAt>[1]): Promise<OpenPubSub> {
  const store = await storeAt(url, options);
  const node = openPubSub({ store, clock: Date.now, logger: pino({ enabled: false }) });
  onTestFinished(async () => {
    await node.close();
    await store.close();
  });
  return node;
}

/** Right after a failover a call may still be refused; whoever was refused tries again. */
async function insistently<T>(call: () => Promise<T>): Promise<T> {
  let done: { readonly value: T } | undefined;
  await eventually(async () => {
    done = await call().then(
      (value) => ({ value }),
      () => undefined,
    );
    return done !== undefined;
  });
  return done!.value;
}

describe('redis failover', () => {
  it('redis failover - what a node has read of messages that are lost is not delivered in place of others (I1 I3)', async () => {
    const { nodes, partReplica, failOver } = await deployment(false);
    const [a, b] = nodes;
    await a.publisher.publish(topicName, [message('first')]);
    await a.subscriber.acknowledge(worker, ackIdsOf(await pull(a)));
    partReplica();
    const refused = expect(a.publisher.publish(topicName, [message('ghost')])).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const ghosts = await pull(a);
    expect(textsOf(ghosts)).toEqual(['ghost']);
    await refused;
    await failOver();
    await insistently(() => b.publisher.publish(topicName, [message('real')]));
    const delivered = await insistently(() => pull(a));
    expect(textsOf(delivered)).toEqual(['real']);
    await a.subscriber.acknowledge(worker, ackIdsOf(ghosts));
    expect(await b.subscriptions.stats(worker)).toMatchObject({ backlog: 1, outstanding: 1 });
    await a.subscriber.acknowledge(worker, ackIdsOf(delivered));
    expect(await b.subscriptions.stats(worker)).toMatchObject({ backlog: 0 });
  });

  it('redis failover - an exactly-once message that somebody has is not handed out to another (I4)', async () => {
    const { nodes, partReplica, failOver } = await deployment(true);
    const [a, b] = nodes;
    await a.publisher.publish(topicName, ['one', 'two'].map(message));
    const first = await a.subscriber.pull(worker, { messagesMax: 1, bytesMax: 1_000_000 }, AbortSignal.timeout(5000));
    expect(textsOf(first)).toEqual(['one']);
    partReplica();
    await expect(pull(a)).rejects.toMatchObject({ code: 'UNAVAILABLE' }); // a lease that a failover would forget
    await failOver();
    const second = await insistently(() => pull(b));
    expect(textsOf(second)).toEqual(['two']);
    await b.subscriber.acknowledge(worker, ackIdsOf(second));
    await a.subscriber.acknowledge(worker, ackIdsOf(first));
    expect(await b.subscriptions.stats(worker)).toMatchObject({ backlog: 0 });
  });

  it('redis failover - what was evaluated before it is not handed out after it, nor passed over (I3)', async () => {
    const server = await redis();
    const store = await storeAt(server.url);
    onTestFinished(() => store.close());
    const log = await makeLog(store);
    await store.createSubscription(subscriptionWithDefaults({ name: worker, topic: 'projects/p/topics/t' }));
    const partition = { subscription: worker, partition: 0 };
    const appendAndRead = async () => {
      await insistently(() => store.append(log, [Buffer.from('x')]));
      return (await store.read(log, 1, 1))[0]!.generation!;
    };
    const earlier = await appendAndRead();
    await server.kill();
    await server.start(); // it may have lost something, for all the nodes know
    const later = await appendAndRead();
    expect(later).not.toBe(earlier);
    const lease = (generation: string) => {
      const fresh = { from: 1, count: 2, skip: Uint8Array.of(1, 0), generation };
      return store.lease(partition, { ...request, fresh });
    };
    expect(await lease(earlier)).toMatchObject({ generation: later, cursor: 1, blocks: [] });
    expect(await lease(later)).toMatchObject({ generation: later, cursor: 3, blocks: [{ offsets: [2] }] });
  });
});
