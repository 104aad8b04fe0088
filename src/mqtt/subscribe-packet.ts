import { ByteReader } from './byte-reader.ts';
import type { ProtocolVersion } from './connect-packet.ts';
import { readProperties } from './properties.ts';
import { malformed, protocolError } from './refusal.ts';
import type { Subscription } from './subscription.ts';
import { checkTopicFilter, type TopicLimits } from './topic-rules.ts';

export interface SubscriptionRequest {
  readonly filter: string;
  readonly subscription: Subscription;
  /** 0: retained messages are sent; 1: only if the subscription is new; 2: not (MQTT-3.3.1-9 to -11). */
  readonly retainHandling: number;
}

export interface SubscribePacket {
  readonly packetId: number;
  readonly requests: readonly SubscriptionRequest[];
  /** Filters and options as they came: what Aedes reads them from. */
  readonly payload: Buffer;
}

/**
 * MQTT5 §3.8.
 * @throws Refusal
 */
export function readSubscribe(body: Buffer, version: ProtocolVersion, limits: TopicLimits): SubscribePacket {
  const reader = new ByteReader('SUBSCRIBE', body, 0, body.length);
  const packetId = reader.packetId();
  const properties = version === 5 ? readProperties('SUBSCRIBE', reader) : {};
  const payload = body.subarray(reader.at);
  const requests: SubscriptionRequest[] = [];
  while (reader.left > 0) {
    const filter = reader.text('a topic filter');
    checkTopicFilter(filter, limits);
    const options = reader.u8('the subscription options');
    checkOptions(filter, options, version);
    requests.push(requestOf(filter, options, properties.subscriptionIdentifier));
  }
  if (requests.length === 0) throw protocolError('SUBSCRIBE: it names no topic filter.'); // MQTT-3.8.3-2
  return { packetId, requests, payload };
}

function requestOf(filter: string, options: number, identifier: number | undefined): SubscriptionRequest {
  const subscription = {
    qos: (options & 3) as 0 | 1 | 2,
    ...((options & 4) !== 0 && { noLocal: true }),
    ...((options & 8) !== 0 && { retainAsPublished: true }),
    ...(identifier !== undefined && { identifier }),
  };
  return { filter, subscription, retainHandling: (options >> 4) & 3 };
}

function checkOptions(filter: string, options: number, version: ProtocolVersion): void {
  if ((options & 3) === 3) throw malformed('SUBSCRIBE: QoS 3; 0, 1 and 2 are allowed.'); // MQTT 3.1.1: MQTT-3-8.3-4
  if (options & (version === 5 ? 0xc0 : 0xfc)) throw malformed('SUBSCRIBE: a reserved option bit is set.'); // MQTT-3.8.3-5
  if (version < 5) return;
  if ((options & 0x30) === 0x30) throw protocolError('SUBSCRIBE: retain handling 3; 0, 1 and 2 are allowed.');
  if (options & 0x04 && filter.startsWith('$share/')) {
    throw protocolError('SUBSCRIBE: No Local is set on a shared subscription.'); // MQTT-3.8.3-4
  }
}

export interface UnsubscribePacket {
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly payload: Buffer;
}

/**
 * MQTT5 §3.10.
 * @throws Refusal
 */
export function readUnsubscribe(body: Buffer, version: ProtocolVersion, limits: TopicLimits): UnsubscribePacket {
  const reader = new ByteReader('UNSUBSCRIBE', body, 0, body.length);
  const packetId = reader.packetId();
  if (version === 5) readProperties('UNSUBSCRIBE', reader);
  const payload = body.subarray(reader.at);
  if (payload.length === 0) throw protocolError('UNSUBSCRIBE: it names no topic filter.'); // MQTT-3.10.3-2
  const filters: string[] = [];
  while (reader.left > 0) {
    const filter = reader.text('a topic filter');
    checkTopicFilter(filter, limits);
    filters.push(filter);
  }
  return { packetId, filters, payload };
}
