import type { ReceivedMessage } from './pubsub.ts';
import type { Confirmation } from './streaming-pull-confirmation.ts';

/** What the first request of a stream asks for, besides the subscription. */
export interface StreamSettings {
  /** 10 s to 600 s; later requests may change it. */
  readonly ackDeadlineMs: number;
  /** Most messages and bytes that may be out; 0 or less: no limit of the client's own. */
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** google.pubsub.v1 StreamingPullResponse.SubscriptionProperties */
export interface SubscriptionProperties {
  readonly exactlyOnce: boolean;
  readonly ordered: boolean;
}

export interface StreamResponse {
  readonly messages?: readonly ReceivedMessage[];
  readonly acks?: Confirmation;
  readonly deadlines?: Confirmation;
  readonly properties: SubscriptionProperties;
}

/** The client's end of a stream, as its doorway gives it. */
export interface StreamOutlet {
  /** Resolves when the transport has passed it on and takes more, or will never do so. Never rejects. */
  send(response: StreamResponse): Promise<void>;
  /** Nothing is sent after it. @param error undefined: all is well */
  end(error: unknown): void;
}
