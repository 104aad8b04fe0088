import { invalidArgument } from '../../domain/errors.ts';
import { parseResourceName } from '../../domain/resource-name.ts';
import type { PubSub } from '../../pubsub/pubsub.ts';
import { fieldMask } from '../json/field-mask-json.ts';
import { object } from '../json/json-field.ts';
import { text, textMap } from '../json/scalar-fields.ts';
import { snapshotFromJson, snapshotSchema, snapshotToJson } from '../json/snapshot-json.ts';
import { timestamp } from '../json/timestamp-json.ts';
import { type Method, method } from './method.ts';
import { listReply, pageFields, pageOf } from './page.ts';
import { checkSameName } from './same-name.ts';

const snapshot = { schema: snapshotSchema, read: snapshotFromJson };
const updateMask = fieldMask('The fields to change: labels, expireTime.');

/** Snapshots, and seeking to them or to a time (google.pubsub.v1 Subscriber). */
export function snapshotMethods({ snapshots, subscriptions }: PubSub, newId: () => string): Method[] {
  /** "If the name is not provided in the request, the server will assign a random name"; in a path it always is. */
  const nameFor = (name: string, subscription: string) => {
    if (name !== '') return name;
    return `projects/${parseResourceName('subscriptions', subscription).project}/snapshots/snapshot-${newId()}`;
  };
  return [
    method({
      id: 'pubsub.projects.snapshots.create',
      verb: 'PUT',
      shape: 'projects/*/snapshots/*',
      summary: 'Keeps what a subscription has acked at this moment.',
      nameOptional: true,
      body: object({
        name: text('projects/{project}/snapshots/{snapshot}'),
        subscription: text('projects/{project}/subscriptions/{subscription}'),
        labels: textMap('Kept as they are.'),
      }),
      async handle({ name, body }) {
        checkSameName(name, body.name ?? '', 'name');
        const { subscription = '', labels = {} } = body;
        return snapshotToJson(await snapshots.create(nameFor(name, subscription), subscription, labels));
      },
    }),
    method({
      id: 'pubsub.projects.snapshots.get',
      verb: 'GET',
      shape: 'projects/*/snapshots/*',
      summary: 'Shows a snapshot.',
      handle: async ({ name }) => snapshotToJson(await snapshots.get(name)),
    }),
    method({
      id: 'pubsub.projects.snapshots.list',
      verb: 'GET',
      shape: 'projects/*/snapshots',
      summary: 'Lists the snapshots of a project.',
      query: pageFields,
      handle: async ({ name, query }) =>
        listReply('snapshots', await snapshots.list({ project: name, ...pageOf(query) }), snapshotToJson),
    }),
    method({
      id: 'pubsub.projects.snapshots.patch',
      verb: 'PATCH',
      shape: 'projects/*/snapshots/*',
      summary: 'Changes the fields of a snapshot that the update mask names.',
      query: { updateMask },
      body: object({ snapshot, updateMask }),
      async handle({ name, query, body }) {
        const wanted = body.snapshot ?? snapshotFromJson({}, 'snapshot');
        checkSameName(name, wanted.name, 'snapshot.name');
        const paths = body.updateMask ?? query.updateMask ?? [];
        return snapshotToJson(await snapshots.update({ ...wanted, name }, paths));
      },
    }),
    method({
      id: 'pubsub.projects.snapshots.delete',
      verb: 'DELETE',
      shape: 'projects/*/snapshots/*',
      summary: 'Deletes a snapshot.',
      async handle({ name }) {
        await snapshots.delete(name);
        return {};
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.seek',
      verb: 'POST',
      shape: 'projects/*/subscriptions/*:seek',
      summary: 'Moves a subscription to a time or to a snapshot: what is earlier is acked, what is later is not.',
      body: object({ time: timestamp('RFC 3339'), snapshot: text('projects/{project}/snapshots/{snapshot}') }),
      async handle({ name, body }) {
        await subscriptions.seek(name, seekTarget(body));
        return {};
      },
    }),
  ];
}

function seekTarget({ time, snapshot }: { time?: number; snapshot?: string }) {
  if (time !== undefined && snapshot !== undefined)
    throw invalidArgument('time and snapshot are both given; give one.');
  if (snapshot) return { snapshot };
  if (time !== undefined) return { timeMs: time };
  throw invalidArgument('There is nothing to seek to; give time or snapshot.');
}
