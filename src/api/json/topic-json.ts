import type { Topic } from '../../domain/topic.ts';
import { duration, durationToJson } from './duration-json.ts';
import { objectSchema, readObject } from './json-field.ts';
import { text, textMap } from './scalar-fields.ts';
import { outputOnly, unserved } from './unserved-field.ts';

/** Every field of google.pubsub.v1 Topic. */
export const topicFields = {
  name: text('projects/{project}/topics/{topic}'),
  labels: textMap('Kept as they are.'),
  messageRetentionDuration: duration('10 minutes to 31 days; unset: as long as subscriptions need.'),
  messageStoragePolicy: unserved('messages stay on the machine that runs Headwater; leave the regions empty.'),
  kmsKeyName: unserved('Cloud KMS keys are not used; leave it empty.'),
  schemaSettings: unserved('messages are not checked against schemas yet; leave it empty.'),
  ingestionDataSourceSettings: unserved('a topic takes its messages from publishers only; leave it empty.'),
  messageTransforms: unserved('messages are stored as they were published; leave it empty.'),
  tags: unserved('resource tags are not kept; use labels.'),
  satisfiesPzs: outputOnly('Set by Google only.'),
  state: outputOnly('ACTIVE'),
};

export const topicSchema = objectSchema(topicFields);

/**
 * A topic from its proto3 JSON; limits are checked where it is created.
 * @param at how errors call it: `topic`, or empty for a whole request body.
 * @throws PubSubError INVALID_ARGUMENT wrong types and unknown fields; UNIMPLEMENTED a setting that is not served.
 */
export function topicFromJson(json: unknown, at: string): Topic {
  const { name = '', labels = {}, messageRetentionDuration } = readObject(json, at, topicFields);
  return {
    name,
    labels,
    ...(messageRetentionDuration === undefined ? {} : { messageRetentionMs: messageRetentionDuration }),
  };
}

/** proto3 JSON leaves out what has its default value. */
export function topicToJson(topic: Topic): object {
  const { name, labels, messageRetentionMs } = topic;
  return {
    name,
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(messageRetentionMs !== undefined && { messageRetentionDuration: durationToJson(messageRetentionMs) }),
    state: 'ACTIVE',
  };
}
