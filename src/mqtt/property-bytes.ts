import type { PublishProperties } from '../bridge/uplink.ts';
import { ByteReader } from './byte-reader.ts';
import { readProperties } from './properties.ts';
import { varint } from './replies.ts';

const none = Buffer.alloc(0);

/**
 * The MQTT 5 properties that travel with a message, as they are on the wire and without their length (MQTT5 §3.3.2.3).
 * Not among them: the message expiry, which counts down, and what differs from subscriber to subscriber.
 */
export function encodeProperties(properties: PublishProperties | undefined): Buffer {
  if (!properties) return none;
  const { payloadFormat, contentType, responseTopic, correlationData, user = [] } = properties;
  const parts: Buffer[] = [];
  if (payloadFormat !== undefined) parts.push(Buffer.of(1, payloadFormat));
  if (contentType !== undefined) parts.push(Buffer.of(3), field(contentType));
  if (responseTopic !== undefined) parts.push(Buffer.of(8), field(responseTopic));
  if (correlationData !== undefined) parts.push(Buffer.of(9), field(correlationData));
  for (const [key, value] of user) parts.push(Buffer.of(38), field(key), field(value)); // MQTT-3.3.2-18: in their order
  return parts.length === 0 ? none : Buffer.concat(parts);
}

export function decodeProperties(bytes: Buffer): PublishProperties | undefined {
  if (bytes.length === 0) return undefined;
  const block = Buffer.concat([varint(bytes.length), bytes]);
  return readProperties('PUBLISH', new ByteReader('PUBLISH', block, 0, block.length));
}

function field(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
