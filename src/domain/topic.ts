import { checkDuration, dayMs, minuteMs } from './duration.ts';
import { checkLabels, type Labels } from './labels.ts';
import { parseResourceName } from './resource-name.ts';
import { applyUpdateMask, type Updatable } from './update-mask.ts';

/** google.pubsub.v1 Topic, in Headwater's own terms: durations in ms, absent means unset. */
export interface Topic {
  readonly name: string; // projects/{project}/topics/{topic}
  readonly labels: Labels;
  readonly messageRetentionMs?: number; // 10 min..31 d
}

/** What a subscription names when its topic was deleted (google.pubsub.v1 Subscription.topic). */
export const deletedTopic = '_deleted-topic_';

// google.pubsub.v1 Topic.message_retention_duration and Subscription.message_retention_duration.
const messageRetentionMsMin = 10 * minuteMs;
const messageRetentionMsMax = 31 * dayMs;

/** @throws PubSubError INVALID_ARGUMENT: which field, and what is allowed. */
export function checkTopic(topic: Topic): void {
  parseResourceName('topics', topic.name);
  checkLabels(topic.labels);
  if (topic.messageRetentionMs !== undefined) checkMessageRetention(topic.messageRetentionMs);
}

export function checkMessageRetention(ms: number): void {
  checkDuration('message_retention_duration', ms, messageRetentionMsMin, messageRetentionMsMax);
}

const updatable: Updatable<Topic> = {
  noun: 'topic',
  fieldByPath: { labels: 'labels', message_retention_duration: 'messageRetentionMs' },
  immutable: ['name'],
};

/** @throws PubSubError INVALID_ARGUMENT: the mask, or a new value. */
export function updatedTopic(current: Topic, wanted: Topic, paths: readonly string[]): Topic {
  const next = applyUpdateMask(updatable, current, wanted, paths);
  checkTopic(next);
  return next;
}
