import type { Publish } from '../../pubsub/pubsub.ts';
import { object } from '../json/json-field.ts';
import { publishMessages } from '../json/publish-json.ts';
import { type Method, method } from './method.ts';

export function publishMethod(publisher: Publish): Method {
  return method({
    id: 'pubsub.projects.topics.publish',
    verb: 'POST',
    shape: 'projects/*/topics/*:publish',
    summary: 'Adds messages to a topic; the reply means that they are durable.',
    body: object({ messages: publishMessages }),
    async handle({ name, body: { messages = [] } }) {
      return { messageIds: await publisher.publish(name, messages) };
    },
  });
}
