import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { defaultBounds, type PubSubBounds } from './bounds.ts';
import { DeadLetters } from './dead-letters.ts';
import { EarlierPartitions } from './earlier-partitions.ts';
import { Publisher } from './publisher.ts';
import type { PubSub } from './pubsub.ts';
import { openPush, type Push, type PushOptions } from './push/open-push.ts';
import { RetentionSweep } from './retention-sweep.ts';
import { processSchedule, type Schedule } from './schedule.ts';
import { SnapshotAdmin } from './snapshot-admin.ts';
import { defaultStreamingPullBounds, type StreamingPullBounds } from './streaming-pull-bounds.ts';
import { StreamingPulls } from './streaming-pulls.ts';
import { Subscriber } from './subscriber.ts';
import { SubscriptionAdmin } from './subscription-admin.ts';
import { TopicAdmin } from './topic-admin.ts';
import { TopicHandles } from './topic-handles.ts';
import { Turn } from './turn.ts';

export interface PubSubOptions {
  readonly store: Store;
  /** Unix epoch ms, for what only this node does; what is kept in the store is in the store's time. */
  readonly clock: () => number;
  readonly logger: Logger;
  /** Those that are not named here are as in `defaultBounds`. */
  readonly limits?: Partial<PubSubBounds>;
  /** Those that are not named here are as in `defaultStreamingPullBounds`. */
  readonly streamLimits?: Partial<StreamingPullBounds>;
  /** Absent: to public addresses only, and as `defaultPushBounds` say. */
  readonly push?: Partial<PushOptions>;
  /** Timers; tests pass one that goes with their clock. */
  readonly schedule?: Schedule;
}

/** The running core: what the doorways use, and what telemetry reads and tests drive. */
export interface OpenPubSub extends PubSub {
  counters(): ReturnType<typeof countersOf> & ReturnType<StreamingPulls['counters']> & ReturnType<Push['counters']>;
  readonly push: Push;
  /** One retention sweep, now. Never rejects. */
  sweepRetention(): Promise<void>;
  /** Forwards every spent message that is due, now. Never rejects. */
  sweepDeadLetters(): Promise<void>;
}

/** Starts Pub/Sub over a store: admin, publisher, subscriber and the sweeps. */
export function openPubSub(options: PubSubOptions): OpenPubSub {
  const { store, clock, logger, limits, streamLimits, schedule = processSchedule } = options;
  const bounds: PubSubBounds = { ...defaultBounds, ...limits };
  const seekOrTrim = new Turn();
  const changes = new Turn();
  const earlierPartitions = new EarlierPartitions(store);
  const topicHandles = new TopicHandles({ store, earlierPartitions, schedule, logger, bounds });
  const publisher = new Publisher(store, topicHandles);
  const deadLetters = new DeadLetters({ store, publisher, clock, logger, bounds });
  const subscriber = new Subscriber({ store, deadLetters, clock, schedule, logger, bounds });
  const retention = new RetentionSweep({ store, clock, schedule, logger, bounds, seekOrTrim });
  const wake = (subscription: string) => subscriber.wake(subscription);
  const push = openPush({ store, subscriber, clock, schedule, logger }, options.push);
  const { checkEndpoint } = push;
  const subscriptions = new SubscriptionAdmin({ store, changes, seekOrTrim, wake, checkEndpoint });
  const streamBounds = { ...defaultStreamingPullBounds, ...streamLimits };
  const parts = { store, subscriber, subscriptions, clock, schedule, random: Math.random };
  const streams = new StreamingPulls({ ...parts, bounds: streamBounds });
  return {
    topics: new TopicAdmin({ store, changes, earlierPartitions, partitionsDefault: bounds.topicPartitions }),
    subscriptions,
    snapshots: new SnapshotAdmin(store, changes),
    publisher,
    subscriber: streams.subscriber,
    streams,
    push,
    counters: () => ({
      ...countersOf(publisher, subscriber, deadLetters, retention),
      ...streams.counters(),
      ...push.counters(),
    }),
    sweepRetention: () => retention.sweepOnce(),
    sweepDeadLetters: () => subscriber.sweepDeadLetters(),
    async close() {
      streams.close();
      await push.close(0);
      await Promise.all([subscriber.close(), retention.close()]);
      topicHandles.close();
    },
  };
}

function countersOf(publisher: Publisher, subscriber: Subscriber, deadLetters: DeadLetters, retention: RetentionSweep) {
  return {
    ...publisher.counters(),
    ...subscriber.counters(),
    ...deadLetters.counters(),
    ...retention.counters(),
  };
}
