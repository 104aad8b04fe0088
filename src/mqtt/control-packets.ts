import { ByteReader } from './byte-reader.ts';
import type { ProtocolVersion } from './connect-packet.ts';
import { type Properties, readProperties } from './properties.ts';
import { malformed, protocolError } from './refusal.ts';

/** Control packet types (MQTT5 table 2-1). */
export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const;

const names = [
  'Packet type 0',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
] as const;

export function packetName(header: number): string {
  return names[header >> 4]!;
}

/** MQTT5 table 2-2: the flags of every type but PUBLISH are fixed. */
export function checkFlags(header: number): void {
  const type = header >> 4;
  const wanted =
    type === packetTypes.pubrel || type === packetTypes.subscribe || type === packetTypes.unsubscribe ? 2 : 0;
  if ((header & 15) !== wanted) throw malformed(`${packetName(header)}: its flags are ${header & 15}, not ${wanted}.`);
}

export interface Acknowledgement {
  readonly packetId: number;
  readonly reasonCode: number; // 0 before MQTT 5
}

// MQTT5 tables 3-4, 3-5, 3-6, 3-7.
const publishAckCodes = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
const releaseCodes = new Set([0x00, 0x92]);

/**
 * PUBACK, PUBREC, PUBREL, PUBCOMP (MQTT5 §3.4 to 3.7).
 * @throws Refusal
 */
export function readAcknowledgement(header: number, body: Buffer, version: ProtocolVersion): Acknowledgement {
  const name = packetName(header);
  const reader = new ByteReader(name, body, 0, body.length);
  const packetId = reader.packetId();
  if (version < 5 || reader.left === 0) {
    reader.done();
    return { packetId, reasonCode: 0 };
  }
  const reasonCode = reader.u8('the reason code');
  const codes = header >> 4 <= packetTypes.pubrec ? publishAckCodes : releaseCodes;
  if (!codes.has(reasonCode)) throw malformed(`${name}: reason code ${reasonCode} does not exist.`);
  if (reader.left > 0) readProperties('Acknowledgement', reader);
  reader.done();
  return { packetId, reasonCode };
}

export interface DisconnectPacket {
  readonly reasonCode: number;
  readonly sessionExpirySeconds: number | undefined;
}

/** MQTT5 table 3-10, column "Sent by", client. */
const disconnectCodes = new Set([0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]);

/**
 * MQTT5 §3.14.
 * @throws Refusal
 */
export function readDisconnect(body: Buffer, version: ProtocolVersion): DisconnectPacket {
  const reader = new ByteReader('DISCONNECT', body, 0, body.length);
  if (version < 5 || reader.left === 0) {
    reader.done();
    return { reasonCode: 0, sessionExpirySeconds: undefined };
  }
  const reasonCode = reader.u8('the reason code');
  if (!disconnectCodes.has(reasonCode)) throw protocolError(`DISCONNECT: reason code ${reasonCode} is not a client's.`);
  const properties: Properties = reader.left > 0 ? readProperties('DISCONNECT', reader) : {};
  reader.done();
  return { reasonCode, sessionExpirySeconds: properties.sessionExpirySeconds };
}
