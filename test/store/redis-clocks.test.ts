import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import { type OpenPubSub, openPubSub } from '../../src/pubsub/open-pubsub.ts';
import { RedisServer } from '../support/redis-server.ts';
import { freshPrefix } from '../support/redis-under-test.ts';
import { storeAt } from './store-at.ts';

const dayMs = 86_400_000;
const topicName = 'projects/p/topics/telemetry';
const worker = 'projects/p/subscriptions/worker';
const snapshot = 'projects/p/snapshots/snapshot';

async function nodeWithClock(url: string, prefix: string, aheadMs: number): Promise<OpenPubSub> {
  const store = await storeAt(url, { prefix });
  const clock = () => Date.now() + aheadMs;
  const node = openPubSub({ store, clock, logger: pino({ enabled: false }) });
  onTestFinished(async () => {
    await node.close();
    await store.close();
  });
  return node;
}

describe('redis clocks', () => {
  it('redis clocks - a node whose clock is 40 days ahead lets go of nothing that others need (I3)', async () => {
    const redis = await RedisServer.start();
    onTestFinished(() => redis.remove());
    const prefix = freshPrefix();
    const right = await nodeWithClock(redis.url, prefix, 0);
    const ahead = await nodeWithClock(redis.url, prefix, 40 * dayMs);
    await right.topics.create({ name: topicName, labels: {} });
    await right.subscriptions.create(subscriptionWithDefaults({ name: worker, topic: topicName }));
    await right.publisher.publish(topicName, [{ data: Buffer.from('kept'), attributes: {}, orderingKey: '' }]);
    await right.snapshots.create(snapshot, worker, {});
    await ahead.sweepRetention();
    expect(ahead.counters()).toMatchObject({
      expiredSubscriptions: 0,
      expiredSnapshots: 0,
      messagesPassedOver: 0,
      trims: 0,
    });
    expect(await right.subscriptions.stats(worker)).toMatchObject({ backlog: 1 });
    expect((await right.snapshots.get(snapshot)).name).toBe(snapshot);
    await ahead.subscriptions.seek(worker, { timeMs: Date.now() - dayMs });
    expect(await right.subscriptions.stats(worker)).toMatchObject({ backlog: 1 });
  });
});
