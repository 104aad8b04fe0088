import { invalidArgument } from './errors.ts';
import { type Attributes, attributesMax, type Message, type StoredMessage } from './message.ts';
import { parseResourceName } from './resource-name.ts';

/** google.pubsub.v1 DeadLetterPolicy. */
export interface DeadLetterPolicy {
  readonly topic: string;
  readonly deliveryAttemptsMax: number; // 5..100
}

const deliveryAttemptsLeast = 5;
const deliveryAttemptsMost = 100;

export function checkDeadLetterPolicy({ topic, deliveryAttemptsMax }: DeadLetterPolicy): void {
  parseResourceName('topics', topic);
  if (
    Number.isInteger(deliveryAttemptsMax) &&
    deliveryAttemptsMax >= deliveryAttemptsLeast &&
    deliveryAttemptsMax <= deliveryAttemptsMost
  ) {
    return;
  }
  throw invalidArgument(
    `dead_letter_policy.max_delivery_attempts is ${deliveryAttemptsMax}; it must be between ${deliveryAttemptsLeast} and ${deliveryAttemptsMost}.`,
  );
}

/** True when handing the message out as its `attempt`-th delivery would be one too many. */
export function hasSpentAttempts(policy: DeadLetterPolicy | undefined, attempt: number): boolean {
  return policy !== undefined && attempt > policy.deliveryAttemptsMax;
}

export interface DeadLetterSource {
  readonly subscription: string; // its name
  readonly policy: DeadLetterPolicy;
  /** Of the delivery that is not made any more. */
  readonly attempt: number;
}

/**
 * What goes to the dead letter topic: the message with its attributes and ordering key, and where it comes from
 * (cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic). A message that already has so many attributes that
 * these would pass the limit gets as many of them as fit: losing it would be worse.
 */
export function deadLetterMessage(message: StoredMessage, source: DeadLetterSource): Message {
  return {
    data: message.data,
    orderingKey: message.orderingKey,
    attributes: withSource(message.attributes, sourceAttributes(message, source)),
  };
}

function sourceAttributes(message: StoredMessage, { subscription, policy, attempt }: DeadLetterSource) {
  const { project, id } = parseResourceName('subscriptions', subscription);
  return {
    CloudPubSubDeadLetterSourceSubscription: id,
    CloudPubSubDeadLetterSourceSubscriptionProject: project,
    CloudPubSubDeadLetterSourceDeliveryCount: String(Math.min(attempt - 1, policy.deliveryAttemptsMax)),
    CloudPubSubDeadLetterSourceTopicPublishTime: new Date(message.publishMs).toISOString(),
  };
}

function withSource(attributes: Attributes, source: Attributes): Attributes {
  const merged = new Map(Object.entries(attributes));
  for (const [key, value] of Object.entries(source)) {
    if (merged.size < attributesMax || merged.has(key)) merged.set(key, value);
  }
  return Object.fromEntries(merged);
}
