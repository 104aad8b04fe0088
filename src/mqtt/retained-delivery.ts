import type { Queued } from './fan-out.ts';
import type { Message } from './message.ts';
import { encodeMessage } from './message-record.ts';
import type { MqttNode } from './node.ts';
import type { Sender } from './sender.ts';
import type { Session } from './session.ts';
import type { SubscriptionRequest } from './subscribe-packet.ts';
import type { SubscriberLink } from './subscribers.ts';

export interface RetainedDelivery {
  readonly node: MqttNode;
  readonly session: Session;
  readonly sender: Sender;
  readonly link: SubscriberLink;
  /** The connection is over. */
  readonly closed: () => boolean;
}

/** Messages for a kept session that are queued together. */
const queuedTogether = 100;

/**
 * Sends a client the retained messages of what it has just subscribed to (MQTT-3.3.1-9), no faster than it reads. QoS 1 and
 * 2 go through its queue like everything else.
 */
export async function deliverRetained(to: RetainedDelivery, requests: readonly SubscriptionRequest[]): Promise<void> {
  const { node, sender, link, session, closed } = to;
  const queued: Queued[] = [];
  for (const request of requests) {
    for await (const retained of node.retained.matching(request.filter, node.clock())) {
      await sender.room();
      if (closed()) return;
      const message = addressed(retained, request, session);
      if (!message) continue;
      if (message.qos === 0) link.deliver(message);
      else if (!session.kept) link.enqueue(encodeMessage(message, Buffer.allocUnsafeSlow));
      else if (queued.push({ sessionId: session.sessionId, message }) === queuedTogether) {
        await node.fanOut.enqueue(queued.splice(0));
      }
    }
  }
  if (queued.length > 0) await node.fanOut.enqueue(queued);
}

/** @returns undefined: its own message, which it does not want (MQTT-3.8.3-3). */
function addressed(message: Message, { subscription }: SubscriptionRequest, session: Session): Message | undefined {
  const { qos, noLocal, identifier } = subscription;
  if (noLocal && message.publisher === session.clientId) return undefined;
  return {
    ...message,
    qos: Math.min(message.qos, qos) as 0 | 1 | 2,
    retain: true,
    identifiers: identifier === undefined ? [] : [identifier],
  };
}
