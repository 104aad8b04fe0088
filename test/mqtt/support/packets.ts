/** Well-formed packets, written out by hand so that a test does not check the server with the server's own code. */

export interface ConnectFields {
  readonly version?: 4 | 5;
  readonly clean?: boolean;
  readonly keepAlive?: number;
  readonly username?: string;
  /** MQTT 5: hex of the properties, without their length. */
  readonly properties?: string;
  readonly will?: {
    readonly topic: string;
    readonly payload: string;
    readonly qos?: number;
    readonly properties?: string;
  };
}

export function connect(clientId: string, fields: ConnectFields = {}): Buffer {
  const { version = 4, clean = true, keepAlive = 0, properties = '', will, username } = fields;
  const flags = (clean ? 2 : 0) | (will ? 4 | ((will.qos ?? 0) << 3) : 0) | (username ? 0x80 : 0);
  const body = [text('MQTT'), Buffer.of(version, flags), u16(keepAlive)];
  if (version === 5) body.push(block(properties));
  body.push(text(clientId));
  if (will && version === 5) body.push(block(will.properties ?? ''));
  if (will) body.push(text(will.topic), text(will.payload));
  if (username) body.push(text(username));
  return packet(0x10, ...body);
}

export interface PublishFields {
  readonly qos?: 0 | 1 | 2;
  readonly id?: number;
  readonly dup?: boolean;
  readonly retain?: boolean;
  readonly payload?: string | Buffer;
  /** Present in MQTT 5 only: hex of the properties. */
  readonly properties?: string;
}

export function publish(topic: string, fields: PublishFields = {}): Buffer {
  const { qos = 0, id = 1, dup = false, retain = false, payload = 'x', properties } = fields;
  const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const body = [text(topic)];
  if (qos > 0) body.push(u16(id));
  if (properties !== undefined) body.push(block(properties));
  return packet(header, ...body, Buffer.from(payload));
}

export function subscribe(id: number, filters: Record<string, number>, properties?: string): Buffer {
  const body = [u16(id)];
  if (properties !== undefined) body.push(block(properties));
  for (const [filter, options] of Object.entries(filters)) body.push(text(filter), Buffer.of(options));
  return packet(0x82, ...body);
}

export const pubrel = (id: number): Buffer => packet(0x62, u16(id));
export const pubcomp = (id: number): Buffer => packet(0x70, u16(id));
export const puback = (id: number): Buffer => packet(0x40, u16(id));
export const pubrec = (id: number): Buffer => packet(0x50, u16(id));
export const pingreq = Buffer.of(0xc0, 0);
export const disconnect = Buffer.of(0xe0, 0);

/** MQTT 3.1.1 CONNACK: accepted. */
export const accepted = '20020000';
export const resumed = '20020100';

/** The hex of a four-byte acknowledgement. */
export function ack(header: number, id: number): string {
  return Buffer.concat([Buffer.of(header, 2), u16(id)]).toString('hex');
}

export function packet(header: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(header), varint(body.length), body]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

export function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

function block(hex: string): Buffer {
  const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex');
  return Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>= 7) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left & 0x7f) | 0x80);
  }
}
