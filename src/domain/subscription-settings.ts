import { dayMs, secondMs } from './duration.ts';
import type { Labels } from './labels.ts';
import type { PushConfig } from './push-config.ts';
import type { Subscription } from './subscription.ts';

/**
 * A subscription as somebody writes it, in a request or in the configuration file: everything but the two names may be
 * left out.
 */
export interface SubscriptionSettings {
  readonly name: string;
  readonly topic: string;
  readonly labels?: Labels;
  readonly ackDeadlineMs?: number;
  readonly retainAckedMessages?: boolean;
  readonly messageRetentionMs?: number;
  /** Left out: 31 d. `never` is an expiration policy without a ttl. */
  readonly expirationTtlMs?: number | 'never';
  readonly filter?: string;
  readonly deadLetter?: { readonly topic: string; readonly deliveryAttemptsMax?: number };
  readonly retry?: { readonly minimumBackoffMs?: number; readonly maximumBackoffMs?: number };
  /** Left out: messages are pulled. */
  readonly push?: PushConfig;
  readonly enableMessageOrdering?: boolean;
  readonly enableExactlyOnceDelivery?: boolean;
}

// google.pubsub.v1 Subscription, DeadLetterPolicy and RetryPolicy: "If … is 0 / not set, a default of …".
const ackDeadlineMsDefault = 10 * secondMs;
const messageRetentionMsDefault = 7 * dayMs;
const expirationTtlMsDefault = 31 * dayMs;
const deliveryAttemptsDefault = 5;
const minimumBackoffMsDefault = 10 * secondMs;
const maximumBackoffMsDefault = 600 * secondMs;

/** Fills in what google.pubsub.v1 Subscription says for fields that are not set; checks nothing. */
export function subscriptionWithDefaults(settings: SubscriptionSettings): Subscription {
  return {
    name: settings.name,
    topic: settings.topic,
    labels: settings.labels ?? {},
    ackDeadlineMs: settings.ackDeadlineMs ?? ackDeadlineMsDefault,
    retainAckedMessages: settings.retainAckedMessages ?? false,
    messageRetentionMs: settings.messageRetentionMs ?? messageRetentionMsDefault,
    ...expiration(settings.expirationTtlMs ?? expirationTtlMsDefault),
    filter: settings.filter ?? '',
    ...deadLetter(settings.deadLetter),
    ...retry(settings.retry),
    ...(settings.push && { push: settings.push }),
    enableMessageOrdering: settings.enableMessageOrdering ?? false,
    enableExactlyOnceDelivery: settings.enableExactlyOnceDelivery ?? false,
    detached: false,
  };
}

function expiration(ttlMs: number | 'never'): Pick<Subscription, 'expirationTtlMs'> {
  return ttlMs === 'never' ? {} : { expirationTtlMs: ttlMs };
}

function deadLetter(policy: SubscriptionSettings['deadLetter']): Pick<Subscription, 'deadLetter'> {
  if (!policy) return {};
  return {
    deadLetter: { topic: policy.topic, deliveryAttemptsMax: policy.deliveryAttemptsMax ?? deliveryAttemptsDefault },
  };
}

function retry(policy: SubscriptionSettings['retry']): Pick<Subscription, 'retry'> {
  if (!policy) return {};
  const { minimumBackoffMs = minimumBackoffMsDefault, maximumBackoffMs = maximumBackoffMsDefault } = policy;
  return { retry: { minimumBackoffMs, maximumBackoffMs } };
}
