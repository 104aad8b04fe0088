import type { ProtocolVersion } from './connect-packet.ts';
import { type ReasonCode, reasonCodes, returnCodeOf } from './refusal.ts';

/** What the server grants in an MQTT 5 CONNACK (§3.2.2.3). */
export interface Grants {
  readonly sessionPresent: boolean;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  /** Present when it is not what the client asked for. */
  readonly sessionExpirySeconds: number | undefined;
  /** Present when the server chose it. */
  readonly clientId: string | undefined;
}

export function connack(version: ProtocolVersion, grants: Grants): Buffer {
  const present = grants.sessionPresent ? 1 : 0;
  if (version < 5) return packet(0x20, [Buffer.of(present, 0)]);
  const properties = [u16(33, grants.receiveMaximum), u32(39, grants.maximumPacketSize)];
  if (grants.topicAliasMaximum > 0) properties.push(u16(34, grants.topicAliasMaximum));
  if (grants.sessionExpirySeconds !== undefined) properties.push(u32(17, grants.sessionExpirySeconds));
  if (grants.clientId !== undefined) properties.push(text(18, grants.clientId));
  properties.push(Buffer.of(42, 0)); // no shared subscriptions yet
  return packet(0x20, [Buffer.of(present, 0), block(properties)]);
}

/** MQTT5 table 3-1 does not list them: a connection that ends for these reasons while it is being made. */
const notInConnack = new Set<ReasonCode>([
  reasonCodes.serverShuttingDown,
  reasonCodes.sessionTakenOver,
  reasonCodes.keepAliveTimeout,
]);

/**
 * The refusal of a CONNECT, in the form of the version that it asked for.
 * @returns undefined when that version has no way to say it: the connection is closed without a word.
 */
export function connackRefusal(version: number, code: ReasonCode, message: string): Buffer | undefined {
  const told = notInConnack.has(code) ? reasonCodes.serverUnavailable : code;
  if (version >= 5) return packet(0x20, [Buffer.of(0, told), block([reason(message)])]);
  const returnCode = returnCodeOf(told);
  return returnCode === undefined ? undefined : packet(0x20, [Buffer.of(0, returnCode)]);
}

/** MQTT5 §3.14; before MQTT 5 a server has no such packet. @returns undefined then. */
export function disconnect(version: number, code: ReasonCode, message: string, fit: Fit): Buffer | undefined {
  if (version < 5) return undefined;
  const told = code === reasonCodes.serverUnavailable ? reasonCodes.unspecifiedError : code; // 0x88 is for CONNACK only
  return fitting(fit, packet(0xe0, [Buffer.of(told), block([reason(message)])]), packet(0xe0, [Buffer.of(told)]));
}

/** What an MQTT 5 client takes; bounds the reason strings sent to it. */
export interface Fit {
  /** Maximum Packet Size; Infinity when it named none. */
  readonly packetBytesMax: number;
  /** Request Problem Information (MQTT-3.1.2-29). */
  readonly problemInformation: boolean;
}

/**
 * A PUBACK, PUBREC or PUBCOMP that says more than "success"; MQTT 5 only. The reason string is left out where the
 * client does not want it or has no room for it (MQTT-3.4.2-2).
 */
export function negativeAck(header: number, packetId: number, code: ReasonCode, message: string, fit: Fit): Buffer {
  const head = Buffer.of(packetId >> 8, packetId & 0xff, code);
  const plain = packet(header, [head]);
  if (!fit.problemInformation || message === '') return plain;
  return fitting(fit, packet(header, [head, block([reason(message)])]), plain);
}

function fitting(fit: Fit, best: Buffer, plain: Buffer): Buffer {
  return best.length <= fit.packetBytesMax ? best : plain;
}

const reasonBytesMax = 1024;

function reason(message: string): Buffer {
  // A cut may split a character; toString turns the rest of it into U+FFFD, which is well-formed again.
  const cut =
    Buffer.byteLength(message) > reasonBytesMax
      ? Buffer.from(message).toString('utf8', 0, reasonBytesMax - 3)
      : message;
  return text(31, cut);
}

function packet(header: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(header), varint(body.length), body]);
}

/** A property length and its properties. */
function block(properties: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(properties);
  return Buffer.concat([varint(bytes.length), bytes]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    const rest = left >>> 7;
    bytes.push((left & 0x7f) | (rest > 0 ? 0x80 : 0));
    left = rest;
  } while (left > 0);
  return Buffer.from(bytes);
}

function u16(id: number, value: number): Buffer {
  return Buffer.of(id, value >> 8, value & 0xff);
}

function u32(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(5, id);
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

function text(id: number, value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(id, bytes.length), bytes]);
}

export function pubrel(packetId: number, code: ReasonCode = 0): Buffer {
  const id = Buffer.of(packetId >> 8, packetId & 0xff);
  return packet(0x62, code === 0 ? [id] : [id, Buffer.of(code)]);
}

export const pingresp = Buffer.of(0xd0, 0);

/** First bytes of the acknowledgements of a publish. */
export const ackHeaders = { puback: 0x40, pubrec: 0x50, pubcomp: 0x70 } as const;
