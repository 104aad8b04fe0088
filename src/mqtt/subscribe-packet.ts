import { ByteReader } from './byte-reader.ts';
import type { ProtocolVersion } from './connect-packet.ts';
import { readProperties } from './properties.ts';
import { malformed, protocolError } from './refusal.ts';
import { checkTopicFilter, type TopicLimits } from './topic-rules.ts';

export interface SubscribePacket {
  readonly packetId: number;
  readonly subscriptionIdentifier: number | undefined; // MQTT 5 only
  readonly filters: readonly string[];
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
  const filters: string[] = [];
  while (reader.left > 0) {
    const filter = reader.text('a topic filter');
    checkTopicFilter(filter, limits);
    checkOptions(filter, reader.u8('the subscription options'), version);
    filters.push(filter);
  }
  if (filters.length === 0) throw protocolError('SUBSCRIBE: it names no topic filter.'); // MQTT-3.8.3-2
  return { packetId, subscriptionIdentifier: properties.subscriptionIdentifier, filters, payload };
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
  while (reader.left > 0) checkTopicFilter(reader.text('a topic filter'), limits);
  return { packetId, payload };
}
