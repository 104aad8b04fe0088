import type { Topics } from '../../pubsub/pubsub.ts';
import { fieldMask } from '../json/field-mask-json.ts';
import { object } from '../json/json-field.ts';
import { topicFields, topicFromJson, topicSchema, topicToJson } from '../json/topic-json.ts';
import { withoutUnserved } from '../json/unserved-field.ts';
import { type Method, method } from './method.ts';
import { listReply, pageFields, pageOf } from './page.ts';
import { checkSameName } from './same-name.ts';

const topic = { schema: topicSchema, read: topicFromJson };
const updateMask = fieldMask('The fields to change: labels, messageRetentionDuration.');

/** The administration of topics (google.pubsub.v1 Publisher). */
export function topicMethods(topics: Topics): Method[] {
  return [
    method({
      id: 'pubsub.projects.topics.create',
      verb: 'PUT',
      shape: 'projects/*/topics/*',
      summary: 'Creates a topic.',
      body: topic,
      async handle({ name, body }) {
        checkSameName(name, body.name, 'name');
        return topicToJson(await topics.create({ ...body, name }));
      },
    }),
    method({
      id: 'pubsub.projects.topics.get',
      verb: 'GET',
      shape: 'projects/*/topics/*',
      summary: 'Shows a topic.',
      handle: async ({ name }) => topicToJson(await topics.get(name)),
    }),
    method({
      id: 'pubsub.projects.topics.list',
      verb: 'GET',
      shape: 'projects/*/topics',
      summary: 'Lists the topics of a project.',
      query: pageFields,
      handle: async ({ name, query }) =>
        listReply('topics', await topics.list({ project: name, ...pageOf(query) }), topicToJson),
    }),
    method({
      id: 'pubsub.projects.topics.patch',
      verb: 'PATCH',
      shape: 'projects/*/topics/*',
      summary: 'Changes the fields of a topic that the update mask names.',
      query: { updateMask },
      body: object({ topic, updateMask }),
      async handle({ name, query, body }) {
        const wanted = body.topic ?? topicFromJson({}, 'topic');
        checkSameName(name, wanted.name, 'topic.name');
        const paths = body.updateMask ?? query.updateMask ?? [];
        const served = withoutUnserved(paths, topicFields);
        if (served.length === 0 && paths.length > 0) return topicToJson(await topics.get(name));
        return topicToJson(await topics.update({ ...wanted, name }, served));
      },
    }),
    method({
      id: 'pubsub.projects.topics.delete',
      verb: 'DELETE',
      shape: 'projects/*/topics/*',
      summary: 'Deletes a topic; its subscriptions keep their backlog.',
      async handle({ name }) {
        await topics.delete(name);
        return {};
      },
    }),
    method({
      id: 'pubsub.projects.topics.subscriptions.list',
      verb: 'GET',
      shape: 'projects/*/topics/*/subscriptions',
      summary: 'Lists the names of the subscriptions of a topic.',
      query: pageFields,
      handle: async ({ name, query }) =>
        listReply('subscriptions', await topics.listSubscriptions(name, pageOf(query)), String),
    }),
    method({
      id: 'pubsub.projects.topics.snapshots.list',
      verb: 'GET',
      shape: 'projects/*/topics/*/snapshots',
      summary: 'Lists the names of the snapshots of a topic.',
      query: pageFields,
      handle: async ({ name, query }) =>
        listReply('snapshots', await topics.listSnapshots(name, pageOf(query)), String),
    }),
  ];
}
