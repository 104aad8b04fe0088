import { secondMs } from '../../domain/duration.ts';
import type { RetryPolicy } from '../../domain/retry-policy.ts';
import type { DeadLetterPolicy, Subscription } from '../../domain/subscription.ts';
import { type SubscriptionSettings, subscriptionWithDefaults } from '../../domain/subscription-settings.ts';
import { duration, durationToJson } from './duration-json.ts';
import { type JsonObject, object, objectSchema, readObject } from './json-field.ts';
import { pushConfigField, pushConfigToJson } from './push-config-json.ts';
import { flag, int32, text, textMap } from './scalar-fields.ts';
import { outputOnly, unserved } from './unserved-field.ts';

/** Every field of google.pubsub.v1 Subscription. */
export const subscriptionFields = {
  name: text('projects/{project}/subscriptions/{subscription}'),
  topic: text('projects/{project}/topics/{topic}'),
  labels: textMap('Kept as they are.'),
  ackDeadlineSeconds: int32('10 to 600; 0 or unset: 10.'),
  retainAckedMessages: flag('Keep acked messages for messageRetentionDuration, so that a seek can bring them back.'),
  messageRetentionDuration: duration('10 minutes to 31 days; unset: 7 days.'),
  expirationPolicy: object({ ttl: duration('At least a day; unset: the subscription never expires.') }),
  filter: text('Which messages are delivered, by their attributes; at most 256 bytes.'),
  deadLetterPolicy: object({
    deadLetterTopic: text('projects/{project}/topics/{topic}'),
    maxDeliveryAttempts: int32('5 to 100; 0 or unset: 5.'),
  }),
  retryPolicy: object({
    minimumBackoff: duration('0 to 600 seconds; unset: 10 seconds.'),
    maximumBackoff: duration('0 to 600 seconds, not below the minimum; unset: 600 seconds.'),
  }),
  enableMessageOrdering: flag('Deliver the messages of an ordering key in the order of their publication.'),
  enableExactlyOnceDelivery: flag('Never deliver a message again whose acknowledgement was confirmed.'),
  detached: flag('True once :detach was called.'),
  pushConfig: pushConfigField,
  bigqueryConfig: unserved('there is no BigQuery to deliver to; leave it empty and pull.'),
  bigtableConfig: unserved('there is no Bigtable to deliver to; leave it empty and pull.'),
  cloudStorageConfig: unserved('there is no Cloud Storage to deliver to; leave it empty and pull.'),
  pubsubExportConfig: unserved('messages are not exported to other Pub/Sub services; leave it empty and pull.'),
  pubsubliteExportConfig: unserved('messages are not exported to Pub/Sub Lite; leave it empty and pull.'),
  messageTransforms: unserved('messages are delivered as they were published; leave it empty.'),
  tags: unserved('resource tags are not kept; use labels.'),
  topicMessageRetentionDuration: outputOnly('messageRetentionDuration of the topic.'),
  state: outputOnly('ACTIVE'),
  analyticsHubSubscriptionInfo: outputOnly('Set by Google only.'),
};

export const subscriptionSchema = objectSchema(subscriptionFields);

/**
 * A subscription from its proto3 JSON, with Pub/Sub's defaults for what is left out; limits are checked where it is
 * created.
 * @param at how errors call it: `subscription`, or empty for a whole request body.
 * @throws PubSubError INVALID_ARGUMENT wrong types and unknown fields; UNIMPLEMENTED a setting that is not served.
 */
export function subscriptionFromJson(json: unknown, at: string): Subscription {
  const read = readObject(json, at, subscriptionFields);
  return { ...subscriptionWithDefaults(settingsOf(read)), detached: read.detached ?? false };
}

function settingsOf(read: JsonObject<typeof subscriptionFields>): SubscriptionSettings {
  const { ackDeadlineSeconds, messageRetentionDuration, expirationPolicy, deadLetterPolicy, retryPolicy, ...others } =
    read;
  const { pushConfig, ...same } = others;
  return {
    name: '',
    topic: '',
    ...same,
    ...(ackDeadlineSeconds ? { ackDeadlineMs: ackDeadlineSeconds * secondMs } : {}), // 0 is proto3's "not set"
    ...(messageRetentionDuration === undefined ? {} : { messageRetentionMs: messageRetentionDuration }),
    ...(expirationPolicy && { expirationTtlMs: expirationPolicy.ttl ?? 'never' }),
    ...(deadLetterPolicy && { deadLetter: deadLetterFromJson(deadLetterPolicy) }),
    ...(retryPolicy && { retry: retryFromJson(retryPolicy) }),
    ...pushConfig,
  };
}

function deadLetterFromJson(read: { deadLetterTopic?: string; maxDeliveryAttempts?: number }) {
  const { deadLetterTopic = '', maxDeliveryAttempts } = read;
  return { topic: deadLetterTopic, ...(maxDeliveryAttempts ? { deliveryAttemptsMax: maxDeliveryAttempts } : {}) };
}

function retryFromJson({ minimumBackoff, maximumBackoff }: { minimumBackoff?: number; maximumBackoff?: number }) {
  return {
    ...(minimumBackoff === undefined ? {} : { minimumBackoffMs: minimumBackoff }),
    ...(maximumBackoff === undefined ? {} : { maximumBackoffMs: maximumBackoff }),
  };
}

/**
 * As Google prints it: proto3 JSON leaves out what has its default value, while `pushConfig`, `ackDeadlineSeconds`,
 * `messageRetentionDuration`, `expirationPolicy` and `state` are always there.
 * @param topicRetentionMs of its topic; undefined when the topic sets none.
 */
export function subscriptionToJson(subscription: Subscription, topicRetentionMs: number | undefined): object {
  const { name, topic, labels, deadLetter, retry, expirationTtlMs, filter } = subscription;
  return {
    name,
    topic,
    pushConfig: pushConfigToJson(subscription.push),
    ackDeadlineSeconds: subscription.ackDeadlineMs / secondMs,
    ...(subscription.retainAckedMessages && { retainAckedMessages: true }),
    messageRetentionDuration: durationToJson(subscription.messageRetentionMs),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(subscription.enableMessageOrdering && { enableMessageOrdering: true }),
    expirationPolicy: expirationTtlMs === undefined ? {} : { ttl: durationToJson(expirationTtlMs) },
    ...(filter !== '' && { filter }),
    ...(deadLetter && { deadLetterPolicy: deadLetterToJson(deadLetter) }),
    ...(retry && { retryPolicy: retryToJson(retry) }),
    ...(subscription.detached && { detached: true }),
    ...(subscription.enableExactlyOnceDelivery && { enableExactlyOnceDelivery: true }),
    ...(topicRetentionMs !== undefined && { topicMessageRetentionDuration: durationToJson(topicRetentionMs) }),
    state: 'ACTIVE',
  };
}

function deadLetterToJson({ topic, deliveryAttemptsMax }: DeadLetterPolicy): object {
  return { deadLetterTopic: topic, maxDeliveryAttempts: deliveryAttemptsMax };
}

function retryToJson({ minimumBackoffMs, maximumBackoffMs }: RetryPolicy): object {
  return { minimumBackoff: durationToJson(minimumBackoffMs), maximumBackoff: durationToJson(maximumBackoffMs) };
}
