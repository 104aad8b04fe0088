import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PushEndpoint } from '../support/push-endpoint.ts';
import { RedisServer } from '../support/redis-server.ts';
import { endCores, messageOf, openCoreOnRedis, telemetry, worker } from './core.ts';

const push = { egress: { loopback: true, allow: [] }, issuer: () => 'https://push.example' };
const poll = { timeout: 20_000, interval: 20 };

describe('push - several nodes on one store', () => {
  let redis: RedisServer;
  let to: PushEndpoint;

  beforeAll(async () => {
    redis = await RedisServer.start();
    return () => redis.remove();
  });
  afterEach(async () => {
    await endCores();
    await to.stop();
  });

  it('every node pushes; leases keep each message, and each run of a key, with one of them (I4, I5, I11)', async () => {
    const open = new Map<string, number>();
    let most = 0;
    to = await PushEndpoint.start(async ({ json }) => {
      const { orderingKey } = json.message;
      open.set(orderingKey, (open.get(orderingKey) ?? 0) + 1);
      most = Math.max(most, open.get(orderingKey)!);
      await new Promise((later) => setTimeout(later, 2)); // long enough for the other node to be at work too
      open.set(orderingKey, open.get(orderingKey)! - 1);
      return 204;
    });
    const prefix = `${randomUUID()}:`;
    const a = await openCoreOnRedis(redis.url, prefix, push);
    const b = await openCoreOnRedis(redis.url, prefix, push);
    await a.topic();
    await a.subscription({
      enableMessageOrdering: true,
      push: { endpoint: to.url(), oidc: { serviceAccountEmail: 'push@example.com' } },
    });
    await expect.poll(() => b.counters().pushSubscriptions, poll).toBe(1);
    const texts: string[] = [];
    for (let i = 0; i < 30; i++) {
      for (const orderingKey of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
        texts.push(`${orderingKey}${i}`);
        await (i % 2 === 0 ? a : b).publisher.publish(telemetry, [messageOf(`${orderingKey}${i}`, { orderingKey })]);
      }
    }
    await expect.poll(async () => (await a.subscriptions.stats(worker)).backlog, poll).toBe(0);
    expect(to.texts.toSorted()).toEqual(texts.toSorted());
    for (const key of ['a', 'h']) {
      const sent = to.texts.filter((text) => text.startsWith(key));
      expect(sent).toEqual(texts.filter((text) => text.startsWith(key)));
    }
    expect(most).toBe(1);
    expect(a.counters().pushesAcked + b.counters().pushesAcked).toBe(texts.length);
    expect(Math.min(a.counters().pushesAcked, b.counters().pushesAcked)).toBeGreaterThan(0);
    expect(await a.push.publishedKeys()).toEqual(await b.push.publishedKeys());
  });
});
