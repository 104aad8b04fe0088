import { RoutedUplink, type RoutedUplinkOptions } from '../../src/bridge/routed-uplink.ts';
import { Routes } from '../../src/bridge/routes.ts';
import type { DevicePublish } from '../../src/bridge/uplink.ts';
import { unpackRecords } from '../../src/domain/batch.ts';
import { PubSubError } from '../../src/domain/errors.ts';
import { decodeRecord, type Message } from '../../src/domain/message.ts';
import type { RouteDefinition } from '../../src/domain/route.ts';
import { openPubSub } from '../../src/pubsub/open-pubsub.ts';
import type { Publish } from '../../src/pubsub/pubsub.ts';
import type { Store } from '../../src/store/store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { openLmdbUnderTest } from '../support/lmdb-under-test.ts';
import { virtualClock } from '../support/virtual-clock.ts';

/** The real publisher on a real store; notes what it is asked to do, and fails when a test says so. */
class WatchedPublisher implements Publish {
  readonly sent: { readonly topic: string; readonly message: Message; readonly dedupe: string | undefined }[] = [];
  readonly forgotten: { readonly dedupe: string; readonly topic: string | undefined }[] = [];
  /** Publishes to this topic are stored, and then reported as if nobody knew. */
  unsureTopic: string | undefined;
  readonly #publisher: Publish;

  constructor(publisher: Publish) {
    this.#publisher = publisher;
  }

  publish(topic: string, messages: readonly Message[]): Promise<string[]> {
    return this.#publisher.publish(topic, messages);
  }

  async publishOne(topic: string, message: Message, dedupe?: string): Promise<void> {
    this.sent.push({ topic, message, dedupe });
    await this.#publisher.publishOne(topic, message, dedupe);
    if (topic === this.unsureTopic) throw new PubSubError('UNAVAILABLE', 'The store did not answer in time.');
  }

  forget(dedupe: string, at: { readonly topic: string; readonly orderingKey: string } | undefined): Promise<void> {
    this.forgotten.push({ dedupe, topic: at?.topic });
    return this.#publisher.forget(dedupe, at);
  }
}

export interface BridgeUnderTest {
  readonly publisher: WatchedPublisher;
  readonly uplink: RoutedUplink;
  readonly store: Store;
  /** What a killed server finds when it comes back: the store as it was, nothing in memory. */
  restart(): Promise<void>;
  /** Everything in a topic's log, oldest first. */
  stored(topic: string): Promise<Message[]>;
  texts(topic: string): Promise<string[]>;
  remove(): Promise<void>;
}

/** Topics by their ids, in project `p`. */
export async function openBridge(
  definitions: readonly RouteDefinition[],
  topics: readonly string[],
  bounds: Partial<RoutedUplinkOptions> = {},
): Promise<BridgeUnderTest> {
  const clock = virtualClock();
  const under = await openLmdbUnderTest(clock);
  for (const topic of topics) await under.store.createTopic({ name: topicNamed(topic), labels: {} });
  const start = () => {
    const pubsub = openPubSub({ store: under.store, clock, logger: createLogger('silent') });
    const publisher = new WatchedPublisher(pubsub.publisher);
    const routes = new Routes(definitions, 'p');
    return { pubsub, publisher, uplink: new RoutedUplink({ routes, publisher, ...bounds }) };
  };
  const stored = async (topic: string) => {
    const found = await under.store.topic(topicNamed(topic));
    const batches = await under.store.read({ topicId: found!.topicId, partition: 0 }, 1, 10_000_000);
    return batches.flatMap((batch) => unpackRecords(batch).map(decodeRecord));
  };
  let running = start();
  return {
    get publisher() {
      return running.publisher;
    },
    get uplink() {
      return running.uplink;
    },
    get store() {
      return under.store;
    },
    async restart() {
      await running.pubsub.close();
      await under.reopen();
      running = start();
    },
    stored,
    texts: async (topic) => (await stored(topic)).map(({ data }) => Buffer.from(data).toString()),
    async remove() {
      await running.pubsub.close();
      await under.remove();
    },
  };
}

export function topicNamed(id: string): string {
  return `projects/p/topics/${id}`;
}

export function publish(topic: string, text: string, how: Partial<DevicePublish> = {}): DevicePublish {
  return { topic, payload: Buffer.from(text), qos: 1, retain: false, properties: undefined, ...how };
}
