import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { defaultBounds, type PubSubBounds } from './bounds.ts';
import { DeadLetters } from './dead-letters.ts';
import { Publisher } from './publisher.ts';
import type { PubSub } from './pubsub.ts';
import { RetentionSweep } from './retention-sweep.ts';
import { processSchedule, type Schedule } from './schedule.ts';
import { SnapshotAdmin } from './snapshot-admin.ts';
import { Subscriber } from './subscriber.ts';
import { SubscriptionAdmin } from './subscription-admin.ts';
import { TopicAdmin } from './topic-admin.ts';
import { TopicHandles } from './topic-handles.ts';
import { Turn } from './turn.ts';

export interface PubSubOptions {
  readonly store: Store;
  /** Unix epoch ms; the same one that the store was opened with. */
  readonly clock: () => number;
  readonly logger: Logger;
  /** Those that are not named here are as in `defaultBounds`. */
  readonly limits?: Partial<PubSubBounds>;
  /** Timers; tests pass one that goes with their clock. */
  readonly schedule?: Schedule;
}

/** The running core: what the doorways use, and what telemetry reads and tests drive. */
export interface OpenPubSub extends PubSub {
  counters(): ReturnType<typeof countersOf>;
  /** One retention sweep, now. Never rejects. */
  sweepRetention(): Promise<void>;
  /** Forwards every spent message that is due, now. Never rejects. */
  sweepDeadLetters(): Promise<void>;
}

/** Starts Pub/Sub over a store: admin, publisher, subscriber and the sweeps. */
export function openPubSub({ store, clock, logger, limits, schedule = processSchedule }: PubSubOptions): OpenPubSub {
  const bounds: PubSubBounds = { ...defaultBounds, ...limits };
  const seekOrTrim = new Turn();
  const changes = new Turn();
  const topicHandles = new TopicHandles(store, logger, bounds);
  const publisher = new Publisher(store, topicHandles);
  const deadLetters = new DeadLetters({ store, publisher, clock, logger, bounds });
  const subscriber = new Subscriber({ store, deadLetters, clock, schedule, logger, bounds });
  const retention = new RetentionSweep({ store, clock, schedule, logger, bounds, seekOrTrim });
  const wake = (subscription: string) => subscriber.wake(subscription);
  return {
    topics: new TopicAdmin(store, changes),
    subscriptions: new SubscriptionAdmin({ store, clock, changes, seekOrTrim, wake }),
    snapshots: new SnapshotAdmin(store, clock, changes),
    publisher,
    subscriber,
    counters: () => countersOf(publisher, subscriber, deadLetters, retention),
    sweepRetention: () => retention.sweepOnce(),
    sweepDeadLetters: () => subscriber.sweepDeadLetters(),
    async close() {
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
