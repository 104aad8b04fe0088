import { secondMs } from '../../domain/duration.ts';
import type { ReceivedMessage } from '../../pubsub/pubsub.ts';

/** google.pubsub.v1 ReceivedMessage, as protobuf.js encodes it. */
export function receivedMessages(received: readonly ReceivedMessage[]): object[] {
  let publishMs = Number.NaN;
  let publishTime = {};
  return received.map(({ ackId, message, deliveryAttempt }) => {
    if (message.publishMs !== publishMs) {
      publishMs = message.publishMs;
      publishTime = timestampOf(publishMs); // one batch, one time
    }
    const { data, attributes, messageId, orderingKey } = message;
    return { ackId, message: { data, attributes, messageId, publishTime, orderingKey }, deliveryAttempt };
  });
}

/** google.protobuf.Timestamp */
function timestampOf(ms: number): object {
  const seconds = Math.floor(ms / secondMs);
  return { seconds, nanos: (ms - seconds * secondMs) * 1_000_000 };
}
