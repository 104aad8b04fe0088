import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Message } from '../../src/domain/message.ts';
import { type SubscriptionSettings, subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import type { Topic } from '../../src/domain/topic.ts';
import type { PubSubBounds } from '../../src/pubsub/bounds.ts';
import { type OpenPubSub, openPubSub, type PubSubOptions } from '../../src/pubsub/open-pubsub.ts';
import type { ReceivedMessage } from '../../src/pubsub/pubsub.ts';
import { openStore, type RedisOptions } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { VirtualTime } from '../support/virtual-time.ts';

export const project = 'projects/p';
export const topicName = (id: string) => `${project}/topics/${id}`;
export const subscriptionName = (id: string) => `${project}/subscriptions/${id}`;
export const snapshotName = (id: string) => `${project}/snapshots/${id}`;

export const telemetry = topicName('telemetry');
export const worker = subscriptionName('worker');

export const secondMs = 1000;
export const minuteMs = 60_000;
export const dayMs = 86_400_000;

type PushOptions = NonNullable<PubSubOptions['push']>;

/** The Pub/Sub core on a real store in a directory of its own, in virtual time. */
export interface Core extends OpenPubSub {
  readonly store: Store;
  readonly time: VirtualTime;
  /** What was logged at `warn` and above. */
  readonly warnings: { readonly msg: string; readonly [field: string]: unknown }[];
  topic(name?: string, settings?: Partial<Topic>, partitions?: number): Promise<void>;
  subscription(settings?: Partial<SubscriptionSettings>): Promise<void>;
  /** Publishes texts to `telemetry`, one after the other. */
  send(texts: readonly string[], orderingKey?: string): Promise<string[]>;
  /** Leases from `worker` what is there. */
  take(messagesMax?: number, subscription?: string): Promise<ReceivedMessage[]>;
  ack(messages: readonly ReceivedMessage[], subscription?: string): Promise<readonly string[]>;
  nack(messages: readonly ReceivedMessage[], subscription?: string): Promise<readonly string[]>;
  /** Ends the process's part without its goodbye to the clients, and starts again on the same data. */
  restart(push?: PushOptions): Promise<Core>;
  end(): Promise<void>;
}

const opened = new Set<Core>();

/** Where a core keeps what it has: something that a restart finds again. */
interface Place {
  readonly url: string;
  readonly redis?: RedisOptions;
  readonly remove: () => Promise<void>;
}

export async function openCore(limits: Partial<PubSubBounds> = {}, push: PushOptions = {}): Promise<Core> {
  const directory = await mkdtemp(join(tmpdir(), 'headwater-core-'));
  const remove = () => rm(directory, { recursive: true });
  return start({ url: `lmdb:${directory}`, remove }, new VirtualTime(), limits, push);
}

/** On a Redis that goes by the core's time. */
export async function openCoreOnRedis(url: string, prefix: string, push: PushOptions = {}): Promise<Core> {
  const time = new VirtualTime();
  return start({ url, redis: { prefix, clock: time.clock }, remove: async () => {} }, time, {}, push);
}

/** For `afterEach`. */
export async function endCores(): Promise<void> {
  for (const core of opened) await core.end();
}

export const textOf = ({ message }: ReceivedMessage): string => Buffer.from(message.data).toString();
export const textsOf = (messages: readonly ReceivedMessage[]): string[] => messages.map(textOf);
export const ackIdsOf = (messages: readonly ReceivedMessage[]): string[] => messages.map(({ ackId }) => ackId);
export const messageOf = (text: string, part: Partial<Message> = {}): Message => ({
  data: Buffer.from(text),
  attributes: {},
  orderingKey: '',
  ...part,
});

async function start(place: Place, time: VirtualTime, limits: Partial<PubSubBounds>, push: PushOptions): Promise<Core> {
  const { clock, schedule } = time;
  const warnings: Core['warnings'] = [];
  const logger = pino({ level: 'warn', base: null }, { write: (line: string) => warnings.push(JSON.parse(line)) });
  const { url, redis = {} } = place;
  const store = await openStore({ url, clock, redis });
  const pubsub = openPubSub({ store, clock, logger, limits, push, schedule });
  const { publisher, subscriber } = pubsub;
  const stop = async () => {
    opened.delete(core);
    await pubsub.close();
    await store.close();
  };
  const core: Core = {
    ...pubsub,
    store,
    time,
    warnings,
    async topic(name = telemetry, settings = {}, partitions = 1) {
      await pubsub.topics.create({ name, labels: {}, ...settings }, partitions);
    },
    async subscription(settings = {}) {
      await pubsub.subscriptions.create(subscriptionWithDefaults({ name: worker, topic: telemetry, ...settings }));
    },
    async send(texts, orderingKey = '') {
      const ids: string[] = [];
      for (const text of texts) ids.push(...(await publisher.publish(telemetry, [messageOf(text, { orderingKey })])));
      return ids;
    },
    take: (messagesMax = 100, subscription = worker) =>
      subscriber.lease(subscription, { messagesMax, bytesMax: 10_000_000 }),
    ack: (messages, subscription = worker) => subscriber.acknowledge(subscription, ackIdsOf(messages)),
    nack: (messages, subscription = worker) => subscriber.modifyAckDeadline(subscription, ackIdsOf(messages), 0),
    async restart(pushAgain = push) {
      await stop();
      return start(place, time, limits, pushAgain);
    },
    async end() {
      await stop();
      await place.remove();
    },
  };
  opened.add(core);
  return core;
}
