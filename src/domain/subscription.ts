import { checkDeadLetterPolicy, type DeadLetterPolicy } from './dead-letter.ts';
import { checkDuration, dayMs, secondMs } from './duration.ts';
import { invalidArgument } from './errors.ts';
import { compileFilter } from './filter.ts';
import { checkLabels, type Labels } from './labels.ts';
import { checkPushConfig, type PushConfig, withVersionOf } from './push-config.ts';
import { parseResourceName } from './resource-name.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { checkMessageRetention, deletedTopic } from './topic.ts';
import { applyUpdateMask, type Updatable } from './update-mask.ts';

/** google.pubsub.v1 Subscription, in Headwater's own terms: durations in ms, absent means unset. */
export interface Subscription {
  readonly name: string; // projects/{project}/subscriptions/{subscription}
  readonly topic: string; // a topic name, or `_deleted-topic_`
  readonly labels: Labels;
  readonly ackDeadlineMs: number; // 10_000..600_000
  readonly retainAckedMessages: boolean;
  readonly messageRetentionMs: number; // 10 min..31 d
  /** Absent: never expires. */
  readonly expirationTtlMs?: number; // at least 1 d
  /** Empty: every message. Immutable. */
  readonly filter: string;
  readonly deadLetter?: DeadLetterPolicy;
  readonly retry?: RetryPolicy;
  /** Absent: messages are pulled. */
  readonly push?: PushConfig;
  readonly enableMessageOrdering: boolean;
  readonly enableExactlyOnceDelivery: boolean;
  readonly detached: boolean;
}

export type { DeadLetterPolicy };

const ackDeadlineMsMin = 10 * secondMs;
export const ackDeadlineMsMax = 600 * secondMs;
const expirationTtlMsMin = dayMs;
const backoffMsMax = 600 * secondMs;

/** @throws PubSubError INVALID_ARGUMENT: which field, and what is allowed. */
export function checkSubscription(subscription: Subscription): void {
  const { topic, ackDeadlineMs, messageRetentionMs, expirationTtlMs, deadLetter, retry, push } = subscription;
  parseResourceName('subscriptions', subscription.name);
  if (topic !== deletedTopic) parseResourceName('topics', topic);
  checkLabels(subscription.labels);
  checkDuration('ack_deadline_seconds', ackDeadlineMs, ackDeadlineMsMin, ackDeadlineMsMax);
  checkMessageRetention(messageRetentionMs);
  if (expirationTtlMs !== undefined) {
    checkDuration('expiration_policy.ttl', expirationTtlMs, expirationTtlMsMin, Number.POSITIVE_INFINITY);
  }
  if (deadLetter) checkDeadLetterPolicy(deadLetter);
  if (retry) checkRetryPolicy(retry);
  if (push) checkPush(push, subscription.enableExactlyOnceDelivery);
  compileFilter(subscription.filter);
}

/** cloud.google.com/pubsub/docs/exactly-once-delivery: "Only the pull subscription type supports exactly-once". */
function checkPush(push: PushConfig, exactlyOnce: boolean): void {
  checkPushConfig(push);
  if (!exactlyOnce) return;
  throw invalidArgument('A push subscription cannot have enable_exactly_once_delivery; pull, or leave it unset.');
}

function checkRetryPolicy({ minimumBackoffMs, maximumBackoffMs }: RetryPolicy): void {
  checkDuration('retry_policy.minimum_backoff', minimumBackoffMs, 0, backoffMsMax);
  checkDuration('retry_policy.maximum_backoff', maximumBackoffMs, 0, backoffMsMax);
  if (minimumBackoffMs <= maximumBackoffMs) return;
  throw invalidArgument(
    `retry_policy.minimum_backoff (${minimumBackoffMs / secondMs}s) is longer than maximum_backoff (${maximumBackoffMs / secondMs}s); make it shorter or equal.`,
  );
}

const updatable: Updatable<Subscription> = {
  noun: 'subscription',
  fieldByPath: {
    labels: 'labels',
    ack_deadline_seconds: 'ackDeadlineMs',
    retain_acked_messages: 'retainAckedMessages',
    message_retention_duration: 'messageRetentionMs',
    expiration_policy: 'expirationTtlMs',
    dead_letter_policy: 'deadLetter',
    retry_policy: 'retry',
    push_config: 'push',
    enable_exactly_once_delivery: 'enableExactlyOnceDelivery',
  },
  immutable: ['name', 'topic', 'enable_message_ordering', 'filter', 'detached'],
};

/** @throws PubSubError INVALID_ARGUMENT: the mask, or a new value. */
export function updatedSubscription(
  current: Subscription,
  wanted: Subscription,
  paths: readonly string[],
): Subscription {
  const next = applyUpdateMask(updatable, current, withVersion(current, wanted), paths);
  checkSubscription(next);
  return next;
}

function withVersion(current: Subscription, wanted: Subscription): Subscription {
  return wanted.push ? { ...wanted, push: withVersionOf(current.push, wanted.push) } : wanted;
}
