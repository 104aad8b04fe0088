import type { RetryPolicy } from './retry-policy.ts';

/** google.pubsub.v1 Subscription, in Headwater's own terms: durations in ms, absent means unset. */
export interface Subscription {
  readonly name: string; // projects/{project}/subscriptions/{subscription}
  readonly topic: string; // a topic name, or `_deleted-topic_`
  readonly labels: Readonly<Record<string, string>>;
  readonly ackDeadlineMs: number; // 10_000..600_000
  readonly retainAckedMessages: boolean;
  readonly messageRetentionMs: number; // 10 min..31 d
  /** Absent: never expires. */
  readonly expirationTtlMs?: number; // at least 1 d
  /** Empty: every message. Immutable. */
  readonly filter: string;
  readonly deadLetter?: DeadLetterPolicy;
  readonly retry?: RetryPolicy;
  readonly enableMessageOrdering: boolean;
  readonly enableExactlyOnceDelivery: boolean;
  readonly detached: boolean;
}

/** google.pubsub.v1 DeadLetterPolicy. */
export interface DeadLetterPolicy {
  readonly topic: string;
  readonly deliveryAttemptsMax: number; // 5..100
}
