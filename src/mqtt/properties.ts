import type { ByteReader } from './byte-reader.ts';
import { malformed, protocolError } from './refusal.ts';

/** The properties that a client may send, decoded (MQTT5 §2.2.2). Absent ones are undefined. */
export interface Properties {
  payloadFormat?: number;
  messageExpirySeconds?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  subscriptionIdentifier?: number;
  sessionExpirySeconds?: number;
  authenticationMethod?: string;
  authenticationData?: Buffer;
  requestProblemInformation?: number;
  willDelaySeconds?: number;
  requestResponseInformation?: number;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumPacketSize?: number;
  user?: (readonly [key: string, value: string])[];
}

type Name = keyof Properties;
type Type = 'flag' | 'u16' | 'u32' | 'varint' | 'text' | 'binary' | 'pair';

interface Rule {
  readonly name: Name;
  /** As the specification calls it. */
  readonly title: string;
  readonly type: Type;
  /** Zero is a protocol error. */
  readonly positive?: true;
}

/** MQTT5 table 2-4, without what only a server sends. */
const rules: Readonly<Record<number, Rule>> = {
  1: { name: 'payloadFormat', title: 'Payload Format Indicator', type: 'flag' },
  2: { name: 'messageExpirySeconds', title: 'Message Expiry Interval', type: 'u32' },
  3: { name: 'contentType', title: 'Content Type', type: 'text' },
  8: { name: 'responseTopic', title: 'Response Topic', type: 'text' },
  9: { name: 'correlationData', title: 'Correlation Data', type: 'binary' },
  11: { name: 'subscriptionIdentifier', title: 'Subscription Identifier', type: 'varint', positive: true },
  17: { name: 'sessionExpirySeconds', title: 'Session Expiry Interval', type: 'u32' },
  21: { name: 'authenticationMethod', title: 'Authentication Method', type: 'text' },
  22: { name: 'authenticationData', title: 'Authentication Data', type: 'binary' },
  23: { name: 'requestProblemInformation', title: 'Request Problem Information', type: 'flag' },
  24: { name: 'willDelaySeconds', title: 'Will Delay Interval', type: 'u32' },
  25: { name: 'requestResponseInformation', title: 'Request Response Information', type: 'flag' },
  31: { name: 'reasonString', title: 'Reason String', type: 'text' },
  33: { name: 'receiveMaximum', title: 'Receive Maximum', type: 'u16', positive: true },
  34: { name: 'topicAliasMaximum', title: 'Topic Alias Maximum', type: 'u16' },
  35: { name: 'topicAlias', title: 'Topic Alias', type: 'u16' }, // 0 is a Topic Alias invalid, which the PUBLISH decoder says
  38: { name: 'user', title: 'User Property', type: 'pair' },
  39: { name: 'maximumPacketSize', title: 'Maximum Packet Size', type: 'u32', positive: true },
};

const message: readonly Name[] = [
  'payloadFormat',
  'messageExpirySeconds',
  'contentType',
  'responseTopic',
  'correlationData',
  'user',
];

/** MQTT5 table 2-4, column "Packet / Will Properties", for the packets that a client sends. */
const allowed = {
  CONNECT: new Set<Name>([
    'sessionExpirySeconds',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'authenticationMethod',
    'authenticationData',
    'user',
  ]),
  Will: new Set<Name>([...message, 'willDelaySeconds']),
  PUBLISH: new Set<Name>([...message, 'topicAlias']), // a Subscription Identifier only from the server: MQTT-3.3.4-6
  SUBSCRIBE: new Set<Name>(['subscriptionIdentifier', 'user']),
  UNSUBSCRIBE: new Set<Name>(['user']),
  Acknowledgement: new Set<Name>(['reasonString', 'user']),
  DISCONNECT: new Set<Name>(['sessionExpirySeconds', 'reasonString', 'user']),
} as const;

export type PropertyOwner = keyof typeof allowed;

/**
 * Reads a property length and the properties after it.
 * @throws Refusal malformed: unknown, cut off, out of range. Protocol error: not on this packet, or twice.
 */
export function readProperties(owner: PropertyOwner, reader: ByteReader): Properties {
  const properties: Properties = {};
  const inner = reader.inner(reader.varint('the property length'), 'the properties');
  while (inner.left > 0) readProperty(owner, inner, properties);
  return properties;
}

function readProperty(owner: PropertyOwner, reader: ByteReader, properties: Properties): void {
  const id = reader.varint('a property identifier');
  const rule = rules[id];
  if (!rule) throw malformed(`${owner}: property ${id} does not exist, or only servers send it.`);
  const { name, title } = rule;
  if (!allowed[owner].has(name)) throw protocolError(`${owner}: the property ${title} does not belong there.`);
  if (name === 'user') {
    properties.user ??= [];
    properties.user.push([reader.text('a user property'), reader.text('a user property')]);
    return;
  }
  if (properties[name] !== undefined) throw protocolError(`${owner}: the property ${title} occurs twice.`);
  const value = readValue(rule, reader);
  if (rule.positive && value === 0) throw protocolError(`${owner}: the property ${title} is 0.`);
  Object.assign(properties, { [name]: value });
}

function readValue({ title, type }: Rule, reader: ByteReader): number | string | Buffer {
  switch (type) {
    case 'u16':
      return reader.u16(title);
    case 'u32':
      return reader.u32(title);
    case 'varint':
      return reader.varint(title);
    case 'text':
      return reader.text(title);
    case 'binary':
      return reader.binary(title);
    default:
      return flag(title, reader.u8(title));
  }
}

function flag(title: string, value: number): number {
  if (value > 1) throw protocolError(`The property ${title} is ${value}; 0 and 1 are allowed.`);
  return value;
}
