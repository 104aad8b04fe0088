import { secondMs } from '../../domain/duration.ts';
import type { Subscribe } from '../../pubsub/pubsub.ts';
import { checkSettled } from '../ack-failure.ts';
import { object } from '../json/json-field.ts';
import { int32, textList } from '../json/scalar-fields.ts';
import { type Method, method } from './method.ts';

/** google.pubsub.v1 AcknowledgeRequest as protobuf.js decodes it. */
interface AcknowledgeRequest {
  readonly subscription: string;
  readonly ackIds: readonly string[];
}

interface ModifyAckDeadlineRequest extends AcknowledgeRequest {
  readonly ackDeadlineSeconds: number;
}

const ackIds = textList('ackId of messages that a pull handed out; at least one.');

/** What a client may do with messages that it holds. */
export function acknowledgeMethods(subscriber: Subscribe): Method[] {
  return [
    method({
      id: 'pubsub.projects.subscriptions.acknowledge',
      verb: 'POST',
      shape: 'projects/*/subscriptions/*:acknowledge',
      summary: 'Settles messages for good.',
      body: object({ ackIds }),
      async handle({ name, body: { ackIds: ids = [] } }) {
        checkSettled(ids, await subscriber.acknowledge(name, ids));
        return {};
      },
      proto: {
        read: ({ subscription, ackIds }: AcknowledgeRequest) => ({ name: subscription, body: { ackIds } }),
        write: (nothing) => nothing,
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.modifyAckDeadline',
      verb: 'POST',
      shape: 'projects/*/subscriptions/*:modifyAckDeadline',
      summary: 'Moves the ack deadline of messages; 0 gives them back at once (a nack).',
      body: object({ ackIds, ackDeadlineSeconds: int32('0 to 600, counted from now; unset: 0.') }),
      async handle({ name, body: { ackIds: ids = [], ackDeadlineSeconds = 0 } }) {
        checkSettled(ids, await subscriber.modifyAckDeadline(name, ids, ackDeadlineSeconds * secondMs));
        return {};
      },
      proto: {
        read: ({ subscription, ackIds, ackDeadlineSeconds }: ModifyAckDeadlineRequest) => {
          return { name: subscription, body: { ackIds, ackDeadlineSeconds } };
        },
        write: (nothing) => nothing,
      },
    }),
  ];
}
