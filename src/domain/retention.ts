import { dayMs } from './duration.ts';
import type { Subscription } from './subscription.ts';
import type { Topic } from './topic.ts';

/** QoS 2 duplicates and dead letters are recognised for this long after the first copy. */
export const dedupeKeyMsMax = 7 * dayMs;

/**
 * How long after its publication a message is owed to the subscription. A topic that retains longer than its
 * subscription prolongs that (google.pubsub.v1 Subscription.topic_message_retention_duration: "always available to
 * subscribers").
 */
export function retentionMsOf(subscription: Subscription, topic: Topic | undefined): number {
  return Math.max(subscription.messageRetentionMs, topic?.messageRetentionMs ?? 0);
}

/** One subscription's part in what a log must keep; all offsets of one partition. */
export interface SubscriptionNeed {
  readonly firstUnacked: number;
  /** First offset that is young enough for it, by `retentionMsOf`. */
  readonly firstRetained: number;
  readonly retainAckedMessages: boolean;
  readonly detached: boolean;
}

/**
 * The first offset that somebody may still ask for; everything before it may go.
 * @param head the offset that the next append gets: a log that nobody needs is emptied.
 * @param topicFirstRetained first offset that the topic's own retention keeps; undefined when it sets none.
 * @param snapshots first unacked offset of each snapshot.
 */
export function trimOffset(
  head: number,
  topicFirstRetained: number | undefined,
  subscriptions: readonly SubscriptionNeed[],
  snapshots: readonly number[],
): number {
  return Math.min(
    head,
    topicFirstRetained ?? head,
    ...subscriptions.map((need) => neededFrom(need, head)),
    ...snapshots,
  );
}

function neededFrom(need: SubscriptionNeed, head: number): number {
  if (need.detached) return head;
  // Acked messages in retention can still be sought back to; unacked ones past it are not owed any more.
  return need.retainAckedMessages ? need.firstRetained : Math.max(need.firstUnacked, need.firstRetained);
}

/** google.pubsub.v1 ExpirationPolicy.ttl: whether nobody has used the subscription for longer than that. */
export function hasExpired(subscription: Subscription, activeMs: number, nowMs: number): boolean {
  return subscription.expirationTtlMs !== undefined && nowMs - activeMs > subscription.expirationTtlMs;
}
