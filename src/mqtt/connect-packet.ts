import { ByteReader } from './byte-reader.ts';
import { type Properties, readProperties } from './properties.ts';
import { malformed, protocolError, Refusal, reasonCodes } from './refusal.ts';
import { checkClientId, checkResponseTopic, checkTopicName, type TopicLimits } from './topic-rules.ts';

/** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5. */
export type ProtocolVersion = 3 | 4 | 5;

export interface ConnectPacket {
  readonly version: ProtocolVersion;
  /** Empty: the server chooses one. */
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number; // 0 = none
  readonly properties: Properties;
  readonly will: Will | undefined;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
}

export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: Properties;
}

export interface ConnectLimits extends TopicLimits {
  readonly clientIdBytesMax: number;
}

/**
 * The version that a CONNECT asks for, as far as it can be told, so that even a malformed one is answered in the form
 * that its sender understands.
 * @returns 0 when it is not MQTT.
 */
export function versionOf(body: Buffer): number {
  const mqtt = body.toString('latin1', 0, 6) === '\0\x04MQTT';
  return mqtt ? (body[6] ?? 0) : 0;
}

/**
 * MQTT5 §3.1, MQTT 3.1.1 §3.1.
 * @throws Refusal
 */
export function readConnect(body: Buffer, limits: ConnectLimits): ConnectPacket {
  const reader = new ByteReader('CONNECT', body, 0, body.length);
  const version = readVersion(reader);
  const flags = readFlags(reader, version);
  const keepAliveSeconds = reader.u16('keep alive');
  const properties = version === 5 ? readProperties('CONNECT', reader) : {};
  const clientId = reader.text('the client id');
  const will = flags.will ? readWill(reader, version, flags, limits) : undefined;
  const username = flags.username ? reader.text('the user name') : undefined;
  const password = flags.password ? reader.binary('the password') : undefined;
  reader.done();
  checkIdentity(version, clientId, flags.cleanStart, limits);
  checkAuthentication(properties);
  return { version, clientId, cleanStart: flags.cleanStart, keepAliveSeconds, properties, will, username, password };
}

function readVersion(reader: ByteReader): ProtocolVersion {
  const name = reader.text('the protocol name');
  const version = reader.u8('the protocol version');
  if (name === 'MQIsdp' && version === 3) return 3;
  if (name !== 'MQTT') throw malformed('The protocol name is not MQTT.'); // MQTT-3.1.2-1
  if (version !== 4 && version !== 5) {
    const message = `MQTT protocol version ${version} is not supported; 4 (MQTT 3.1.1) and 5 are.`;
    throw new Refusal(reasonCodes.unsupportedProtocolVersion, message);
  }
  return version;
}

interface ConnectFlags {
  readonly cleanStart: boolean;
  readonly will: boolean;
  readonly willQos: 0 | 1 | 2;
  readonly willRetain: boolean;
  readonly username: boolean;
  readonly password: boolean;
}

function readFlags(reader: ByteReader, version: ProtocolVersion): ConnectFlags {
  const bits = reader.u8('the connect flags');
  const willQos = (bits >> 3) & 3;
  const flags = {
    cleanStart: (bits & 0x02) !== 0,
    will: (bits & 0x04) !== 0,
    willRetain: (bits & 0x20) !== 0,
    password: (bits & 0x40) !== 0,
    username: (bits & 0x80) !== 0,
  };
  if (bits & 1) throw malformed('CONNECT: the reserved flag is set.'); // MQTT-3.1.2-3
  if (willQos === 3) throw malformed('CONNECT: will QoS 3; 0, 1 and 2 are allowed.'); // MQTT-3.1.2-12
  if (!flags.will && (willQos > 0 || flags.willRetain)) {
    throw malformed('CONNECT: will QoS or will retain is set without a will.'); // MQTT-3.1.2-11, -13
  }
  if (version < 5 && flags.password && !flags.username) {
    throw malformed('CONNECT: a password needs a user name in MQTT 3.1.1.'); // MQTT 3.1.1: MQTT-3.1.2-22
  }
  return { ...flags, willQos: willQos as 0 | 1 | 2 };
}

function readWill(reader: ByteReader, version: ProtocolVersion, flags: ConnectFlags, limits: ConnectLimits): Will {
  const properties = version === 5 ? readProperties('Will', reader) : {};
  const topic = reader.text('the will topic');
  const payload = reader.binary('the will payload');
  checkTopicName(topic, limits);
  if (properties.responseTopic !== undefined) checkResponseTopic(properties.responseTopic);
  return { topic, payload, qos: flags.willQos, retain: flags.willRetain, properties };
}

function checkIdentity(version: number, clientId: string, cleanStart: boolean, limits: ConnectLimits): void {
  checkClientId(clientId, limits.clientIdBytesMax);
  if (version === 3 && clientId.length > 23) {
    throw new Refusal(reasonCodes.clientIdNotValid, 'MQTT 3.1 allows client ids of 1 to 23 characters.');
  }
  if (clientId === '' && (version === 3 || (version === 4 && !cleanStart))) {
    // MQTT 3.1.1: MQTT-3.1.3-8. MQTT 5 names such a client and keeps its session.
    throw new Refusal(reasonCodes.clientIdNotValid, 'A session that is kept needs a client id.');
  }
}

function checkAuthentication({ authenticationMethod, authenticationData }: Properties): void {
  if (authenticationMethod === undefined) {
    if (authenticationData !== undefined) throw protocolError('CONNECT: authentication data without a method.');
    return;
  }
  const message = 'Enhanced authentication is not supported; use a user name and password.';
  throw new Refusal(reasonCodes.badAuthenticationMethod, message, 'not_authorized');
}
