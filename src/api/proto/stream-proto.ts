import type { Confirmation } from '../../pubsub/streaming-pull-confirmation.ts';
import type { StreamResponse } from '../../pubsub/streaming-pull-outlet.ts';
import { receivedMessages } from './received-proto.ts';

/** google.pubsub.v1 StreamingPullRequest as protobuf.js decodes it; an int64 is a Long. */
export interface StreamingPullRequest {
  readonly subscription: string;
  readonly ackIds: readonly string[];
  readonly modifyDeadlineSeconds: readonly number[];
  readonly modifyDeadlineAckIds: readonly string[];
  readonly streamAckDeadlineSeconds: number;
  readonly clientId: string;
  readonly maxOutstandingMessages: unknown;
  readonly maxOutstandingBytes: unknown;
  readonly protocolVersion: unknown;
}

/** google.pubsub.v1 StreamingPullResponse, as protobuf.js encodes it. */
export function streamingPullResponse({ messages = [], acks, deadlines, properties }: StreamResponse): object {
  return {
    receivedMessages: receivedMessages(messages),
    ...(acks && { acknowledgeConfirmation: { ...confirmed(acks), unorderedAckIds: acks.unordered } }),
    ...(deadlines && { modifyAckDeadlineConfirmation: confirmed(deadlines) }),
    subscriptionProperties: {
      exactlyOnceDeliveryEnabled: properties.exactlyOnce,
      messageOrderingEnabled: properties.ordered,
    },
  };
}

function confirmed({ ok, invalid, failed }: Confirmation): object {
  return { ackIds: ok, invalidAckIds: invalid, temporaryFailedAckIds: failed };
}
