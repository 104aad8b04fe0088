import type { StoredMessage } from '../../domain/message.ts';
import type { ReceivedMessage } from '../../pubsub/pubsub.ts';
import { encodeBase64 } from './base64.ts';
import { timestampToJson } from './timestamp-json.ts';

/**
 * The reply to a pull. A thousand messages of 300 bytes become text in 2 µs each; putting the text together by hand
 * was measured at 3 µs with `+=` and at 1.7 µs with an escaper of its own, which is not worth having.
 */
export function pullReply(received: readonly ReceivedMessage[]): object {
  if (received.length === 0) return {}; // proto3 JSON leaves an empty list out
  let publishMs = Number.NaN;
  let publishTime = '';
  const receivedMessages = received.map(({ ackId, message, deliveryAttempt }) => {
    if (message.publishMs !== publishMs) {
      publishMs = message.publishMs;
      publishTime = timestampToJson(publishMs); // one batch, one time
    }
    return { ackId, message: messageToJson(message, publishTime), deliveryAttempt: deliveryAttempt || undefined };
  });
  return { receivedMessages };
}

/** Default values become `undefined`, which `JSON.stringify` leaves out. */
function messageToJson({ data, attributes, messageId, orderingKey }: StoredMessage, publishTime: string): object {
  return {
    data: data.length > 0 ? encodeBase64(data) : undefined,
    attributes: hasAny(attributes) ? attributes : undefined,
    messageId,
    publishTime,
    orderingKey: orderingKey || undefined,
  };
}

function hasAny(attributes: Readonly<Record<string, string>>): boolean {
  for (const _ in attributes) return true;
  return false;
}
