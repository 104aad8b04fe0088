import type { Will } from './connect-packet.ts';
import { type Message, noIdentifiers } from './message.ts';
import { decodeMessage, encodeMessage } from './message-record.ts';
import { encodeProperties } from './property-bytes.ts';

/**
 * A will at rest: like any message, but its expiry counts from when it is published.
 *
 *     has an expiry 1 | message expiry in seconds 4 | message
 */
export function encodeWill({ topic, payload, qos, retain, properties }: Will, clientId: string): Buffer {
  const { messageExpirySeconds } = properties;
  const head = Buffer.alloc(5);
  head[0] = messageExpirySeconds === undefined ? 0 : 1;
  head.writeUInt32BE(messageExpirySeconds ?? 0, 1);
  const message: Message = {
    topic,
    payload,
    qos,
    retain,
    publisher: clientId,
    expiresMs: 0,
    properties: encodeProperties(properties),
    identifiers: noIdentifiers,
  };
  return Buffer.concat([head, encodeMessage(message)]);
}

export interface DecodedWill {
  readonly message: Message;
  readonly messageExpirySeconds: number | undefined;
}

/** @throws Error a record that this Headwater did not write */
export function decodeWill(record: Uint8Array): DecodedWill {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
  return {
    message: decodeMessage(bytes.subarray(5)),
    messageExpirySeconds: bytes[0] === 1 ? bytes.readUInt32BE(1) : undefined,
  };
}
