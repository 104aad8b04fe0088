import type { PushConfig } from '../../domain/push-config.ts';
import type { ReceivedMessage } from '../pubsub.ts';

/** A message as it goes over the wire, without what authenticates it. */
export interface PushedMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** Attributes that cannot be headers. */
  readonly leftOut: number;
}

const userAgent = 'Headwater';

/** @param subscription its name. */
export function pushedMessage(received: ReceivedMessage, subscription: string, { wrapper }: PushConfig): PushedMessage {
  if (wrapper?.kind !== 'none') {
    const headers = { 'content-type': 'application/json', accept: 'application/json', 'user-agent': userAgent };
    return { headers, body: wrappedBody(received, subscription), leftOut: 0 };
  }
  const bare = { 'content-type': 'application/octet-stream', 'user-agent': userAgent };
  const body = received.message.data;
  if (!wrapper.writeMetadata) return { headers: bare, body, leftOut: 0 };
  const { headers, leftOut } = attributeHeaders(received);
  return { headers: { ...bare, ...headers, ...metadataHeaders(received, subscription) }, body, leftOut };
}

/** As cloud.google.com/pubsub/docs/push#receive_push shows it: both spellings of id and time. */
function wrappedBody({ message, deliveryAttempt }: ReceivedMessage, subscription: string): string {
  const { data, attributes, orderingKey, messageId, publishMs } = message;
  const publishTime = new Date(publishMs).toISOString();
  return JSON.stringify({
    ...(deliveryAttempt > 0 && { deliveryAttempt }),
    message: {
      ...(Object.keys(attributes).length > 0 && { attributes }),
      ...(data.length > 0 && { data: Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64') }),
      messageId,
      message_id: messageId,
      ...(orderingKey !== '' && { orderingKey }),
      publishTime,
      publish_time: publishTime,
    },
    subscription,
  });
}

/** cloud.google.com/pubsub/docs/payload-unwrapping */
function metadataHeaders({ message }: ReceivedMessage, subscription: string): Record<string, string> {
  const { messageId, publishMs } = message;
  const orderingKey = headerText(message.orderingKey);
  return {
    'x-goog-pubsub-subscription-name': subscription,
    'x-goog-pubsub-message-id': messageId,
    'x-goog-pubsub-publish-time': new Date(publishMs).toISOString(),
    ...(orderingKey !== '' && isHeaderText(orderingKey) && { 'x-goog-pubsub-ordering-key': orderingKey }),
  };
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110 §5.6.2

/**
 * What frames the request, names its target or vouches for its sender is not the publisher's to say. RFC 9110 §7.6.1
 * names the headers of a connection.
 */
const notForAttributes =
  /^(connection|content-length|expect|host|http2-settings|keep-alive|te|trailer|transfer-encoding|upgrade|authorization|proxy-.*|x-goog-.*)$/;

function attributeHeaders({ message }: ReceivedMessage): { headers: Record<string, string>; leftOut: number } {
  const headers: Record<string, string> = Object.create(null); // `__proto__` would be a legal header
  let leftOut = 0;
  for (const [key, value] of Object.entries(message.attributes)) {
    const name = key.toLowerCase();
    const text = headerText(value);
    if (token.test(name) && !notForAttributes.test(name) && isHeaderText(text)) headers[name] = text;
    else leftOut++;
  }
  return { headers, leftOut };
}

/** UTF-8, one character a byte: Node writes headers as latin1. */
function headerText(value: string): string {
  return Buffer.from(value).toString('latin1');
}

function isHeaderText(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}
