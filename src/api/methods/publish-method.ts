import type { Attributes, Message } from '../../domain/message.ts';
import type { Publish } from '../../pubsub/pubsub.ts';
import { object } from '../json/json-field.ts';
import { publishMessages } from '../json/publish-json.ts';
import { type Method, method } from './method.ts';

/** google.pubsub.v1 PublishRequest as protobuf.js decodes it; its messages have all that a `Message` has. */
interface PublishRequest {
  readonly topic: string;
  readonly messages: readonly Message[];
}

const noAttributes: Attributes = Object.freeze({});

/** What is known of attributes is kept by object: messages without any share one. */
function sparing(message: Message): Message {
  for (const _ in message.attributes) return message;
  return { data: message.data, attributes: noAttributes, orderingKey: message.orderingKey };
}

export function publishMethod(publisher: Publish): Method {
  return method({
    id: 'pubsub.projects.topics.publish',
    verb: 'POST',
    shape: 'projects/*/topics/*:publish',
    summary: 'Adds messages to a topic; the reply means that they are durable.',
    body: object({ messages: publishMessages }),
    handle: ({ name, body: { messages = [] } }) => publisher.publish(name, messages),
    toJson: (messageIds) => ({ messageIds }),
    proto: {
      read: ({ topic, messages }: PublishRequest) => ({ name: topic, body: { messages: messages.map(sparing) } }),
      write: (messageIds) => ({ messageIds }),
    },
  });
}
