import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import { openPubSub } from '../../src/pubsub/open-pubsub.ts';
import { openStore } from '../../src/store/open-store.ts';
import { PushEndpoint } from '../support/push-endpoint.ts';

/**
 * Pushes to an endpoint in the same process, so its cost is in the figures: `tsx test/bench/push.ts [failing share]`.
 * Prints requests a second and CPU seconds per million of them, endpoint included.
 */
const messages = 5_000;
const topic = 'projects/p/topics/bench';
const failing = Number(process.argv[2] ?? 0);

async function run(ordered: boolean): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'headwater-push-'));
  const store = await openStore({ url: `lmdb:${directory}`, clock: Date.now });
  const logger = pino({ level: 'silent' });
  const push = { egress: { loopback: true, allow: [] } };
  const pubsub = openPubSub({ store, clock: Date.now, logger, push });
  let requests = 0;
  const to = await PushEndpoint.start(() => (Math.random() < failing ? 503 : 204));
  await pubsub.topics.create({ name: topic, labels: {} });
  const name = 'projects/p/subscriptions/bench';
  const retry = { minimumBackoffMs: 100, maximumBackoffMs: 100 };
  const settings = { name, topic, retry, enableMessageOrdering: ordered };
  await pubsub.subscriptions.create(subscriptionWithDefaults(settings));
  for (let at = 0; at < messages; at += 100) {
    const orderingKey = ordered ? `key-${(at / 100) % 100}` : '';
    const batch = Array.from({ length: 100 }, () => ({ data: Buffer.alloc(200), attributes: {}, orderingKey }));
    await pubsub.publisher.publish(topic, batch);
  }
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await pubsub.subscriptions.modifyPushConfig(name, { endpoint: to.url() });
  let n=0,r=0,o=0,w=0,h=0; while ((await pubsub.subscriptions.stats(name)).backlog > 0) { n++; const c=pubsub.counters(); r+=c.pushSubscriptionsResting; o+=c.pushRequestsOpen; h+=c.pushMessagesHeld; w+=pubsub.push.health(name)!.requestsMax; await new Promise((later) => setTimeout(later, 5)); } console.log('resting',r/n,'open',o/n,'window',w/n,'held',h/n, pubsub.counters().pushLatencyMs/to.requests.length, n);
  const tookS = (performance.now() - startedMs) / 1000;
  requests = to.requests.length;
  const { user, system } = process.cpuUsage(cpu);
  const perMillion = (user + system) / requests;
  console.log(
    `${ordered ? 'ordered, 100 keys' : 'unordered       '}  ${Math.round(requests / tookS)} requests/s  ${perMillion.toFixed(0)} CPU s/1M  window ${pubsub.push.health(name)?.requestsMax}`,
  );
  if (process.env.PUSH_COUNTERS) console.log(pubsub.counters());
  await pubsub.close();
  await store.close();
  await to.stop();
  await rm(directory, { recursive: true });
}

for (const ordered of [false, true]) await run(ordered);
