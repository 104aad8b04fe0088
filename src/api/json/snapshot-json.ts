import type { Snapshot } from '../../domain/snapshot.ts';
import { objectSchema, readObject } from './json-field.ts';
import { text, textMap } from './scalar-fields.ts';
import { timestamp, timestampToJson } from './timestamp-json.ts';

/** Every field of google.pubsub.v1 Snapshot. */
const snapshotFields = {
  name: text('projects/{project}/snapshots/{snapshot}'),
  topic: text('projects/{project}/topics/{topic}'),
  expireTime: timestamp('At most 7 days from now.'),
  labels: textMap('Kept as they are.'),
};

export const snapshotSchema = objectSchema(snapshotFields);

/**
 * A snapshot from its proto3 JSON, for an update.
 * @throws PubSubError INVALID_ARGUMENT wrong types and unknown fields.
 */
export function snapshotFromJson(json: unknown, at: string): Snapshot {
  const { name = '', topic = '', expireTime = 0, labels = {} } = readObject(json, at, snapshotFields);
  return { name, topic, expireMs: expireTime, labels };
}

export function snapshotToJson({ name, topic, expireMs, labels }: Snapshot): object {
  return {
    name,
    topic,
    expireTime: timestampToJson(expireMs),
    ...(Object.keys(labels).length > 0 && { labels }),
  };
}
