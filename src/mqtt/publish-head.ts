import type { Message } from './message.ts';
import { varint } from './replies.ts';

/** How a PUBLISH leaves. */
export interface Sending {
  readonly version: number;
  /** 0 under QoS 0. */
  readonly packetId: number;
  readonly dup: boolean;
  readonly nowMs: number;
}

/** A PUBLISH packet up to its payload (MQTT5 §3.3). */
export function publishHead(message: Message, { version, packetId, dup, nowMs }: Sending): Buffer {
  const { topic, payload, qos, retain } = message;
  const topicBytes = Buffer.byteLength(topic);
  const properties = version === 5 ? propertyBlock(message, nowMs) : undefined;
  const behind = 2 + topicBytes + (qos > 0 ? 2 : 0) + (properties?.length ?? 0);
  const length = varint(behind + payload.length);
  const head = Buffer.allocUnsafe(1 + length.length + behind);
  head[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  head.set(length, 1);
  let at = head.writeUInt16BE(topicBytes, 1 + length.length);
  at += head.write(topic, at);
  if (qos > 0) at = head.writeUInt16BE(packetId, at);
  if (properties) head.set(properties, at);
  return head;
}

const noProperties = Buffer.of(0);

function propertyBlock({ expiresMs, identifiers, properties }: Message, nowMs: number): Buffer {
  if (expiresMs === 0 && identifiers.length === 0 && properties.length === 0) return noProperties;
  const parts: Buffer[] = [];
  if (expiresMs > 0) parts.push(expiry(Math.max(1, Math.ceil((expiresMs - nowMs) / 1000)))); // MQTT-3.3.2-6
  parts.push(properties);
  for (const identifier of identifiers) parts.push(Buffer.of(11), varint(identifier)); // MQTT-3.3.4-3 to -5
  const block = Buffer.concat(parts);
  return Buffer.concat([varint(block.length), block]);
}

function expiry(seconds: number): Buffer {
  const bytes = Buffer.alloc(5, 2);
  bytes.writeUInt32BE(Math.min(seconds, 0xffffffff), 1);
  return bytes;
}
