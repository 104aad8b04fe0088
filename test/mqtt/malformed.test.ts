import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ack, packet, publish, text } from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import { TestServer } from './support/test-server.ts';

/**
 * What a client may not send, byte by byte, and what it gets for that: nothing but a closed connection, a CONNACK, or a
 * DISCONNECT with a reason code. Each vector runs on a connection of its own, and a witness then still gets its PUBACK.
 */
type Reply = 'closed' | { readonly connack: number } | { readonly connack5: number } | { readonly disconnect: number };
type Vector = readonly [name: string, bytes: string | Buffer, reply: Reply];

const closed = 'closed';
const connack = (code: number): Reply => ({ connack: code });
const connack5 = (code: number): Reply => ({ connack5: code });
const disconnect = (code: number): Reply => ({ disconnect: code });

/** The variable header of a CONNECT up to its keep alive, and the client id "a". */
const v4 = (flags: string) => `00044d515454 04 ${flags} 003c`;
const v5 = (flags: string) => `00044d515454 05 ${flags} 003c`;
const id = '0001 61';

const first: Vector[] = [
  ['a PUBLISH before CONNECT', '30 04 0001 61 78', closed],
  ['a PINGREQ before CONNECT', 'c0 00', closed],
  ['packet type 0', '00 00', closed],
  ['AUTH before CONNECT', 'f0 00', closed],
  ['a remaining length of five bytes', '10 ff ff ff ff 01', closed],
  ['CONNECT with header flags', `11 0d ${v4('02')} ${id}`, closed],
  ['v5 CONNECT with header flags', `11 0e ${v5('02')} 00 ${id}`, connack5(0x81)],
  ['another protocol name', '10 0d 00044d515458 04 02 003c 0001 61', closed],
  ['protocol version 6', '10 0e 00044d515454 06 02 003c 00 0001 61', connack5(0x84)],
  ['protocol version 2', '10 0d 00044d515454 02 02 003c 0001 61', connack(1)],
  ['a bridge bit in the protocol version', '10 0d 00044d515454 84 02 003c 0001 61', connack5(0x84)],
  ['v4 reserved connect flag', `10 0d ${v4('03')} ${id}`, closed],
  ['v5 reserved connect flag', `10 0e ${v5('03')} 00 ${id}`, connack5(0x81)],
  ['v4 will QoS 3', `10 13 ${v4('1e')} ${id} 000174 000170`, closed],
  ['v5 will QoS 3', `10 15 ${v5('1e')} 00 ${id} 00 000174 000170`, connack5(0x81)],
  ['v4 will QoS without a will', `10 0d ${v4('0a')} ${id}`, closed],
  ['v5 will retain without a will', `10 0e ${v5('22')} 00 ${id}`, connack5(0x81)],
  ['v4 password without a user name', `10 10 ${v4('42')} ${id} 000170`, closed],
  ['v4 no client id and a kept session', `10 0c ${v4('00')} 0000`, connack(2)],
  ['v4 client id with +', `10 0f ${v4('02')} 0003 612b62`, connack(2)],
  ['v4 client id with #', `10 0f ${v4('02')} 0003 612362`, connack(2)],
  ['v5 client id with +', `10 10 ${v5('02')} 00 0003 612b62`, connack5(0x85)],
  ['v4 client id with U+0000', `10 0f ${v4('02')} 0003 610062`, closed],
  ['v5 client id with U+0000', `10 10 ${v5('02')} 00 0003 610062`, connack5(0x81)],
  ['v5 client id with a lone surrogate', `10 10 ${v5('02')} 00 0003 eda080`, connack5(0x81)],
  ['v5 client id in overlong UTF-8', `10 0f ${v5('02')} 00 0002 c080`, connack5(0x81)],
  ['v4 client id of 1025 bytes', packet(0x10, hex(v4('02')), text('a'.repeat(1025))), connack(2)],
  ['v5 client id of 1025 bytes', packet(0x10, hex(`${v5('02')}00`), text('a'.repeat(1025))), connack5(0x85)],
  ['v4 CONNECT cut off in the client id', `10 0d ${v4('02')} 0002 61`, closed],
  ['v5 CONNECT cut off in the client id', `10 0e ${v5('02')} 00 0002 61`, connack5(0x81)],
  ['v5 CONNECT cut off before its properties', `10 0a ${v5('02')}`, connack5(0x81)],
  ['v5 property length past the end', `10 0e ${v5('02')} 7f ${id}`, connack5(0x81)],
  ['v5 property length of five bytes', `10 12 ${v5('02')} ffffffff01 ${id}`, connack5(0x81)],
  ['v4 bytes after the payload', `10 0e ${v4('02')} ${id} 00`, closed],
  ['v5 bytes after the payload', `10 0f ${v5('02')} 00 ${id} 00`, connack5(0x81)],
  ['v5 Session Expiry Interval twice', `10 18 ${v5('02')} 0a 11 00000001 11 00000001 ${id}`, connack5(0x82)],
  ['v5 Receive Maximum 0', `10 11 ${v5('02')} 03 21 0000 ${id}`, connack5(0x82)],
  ['v5 Maximum Packet Size 0', `10 13 ${v5('02')} 05 27 00000000 ${id}`, connack5(0x82)],
  ['v5 Request Problem Information 2', `10 10 ${v5('02')} 02 17 02 ${id}`, connack5(0x82)],
  ['v5 an unknown property', `10 10 ${v5('02')} 02 7f 00 ${id}`, connack5(0x81)],
  ['v5 a property of PUBLISH in CONNECT', `10 11 ${v5('02')} 03 23 0001 ${id}`, connack5(0x82)],
  ['v5 a property of the server', `10 10 ${v5('02')} 02 2a 00 ${id}`, connack5(0x81)],
  ['v5 authentication data without a method', `10 11 ${v5('02')} 03 16 0000 ${id}`, connack5(0x82)],
  ['v5 enhanced authentication', `10 12 ${v5('02')} 04 15 0001 78 ${id}`, connack5(0x8c)],
  ['v4 empty will topic', `10 12 ${v4('06')} ${id} 0000 000170`, closed],
  ['v5 will topic with a wildcard', `10 16 ${v5('06')} 00 ${id} 00 0002 612b 000170`, connack5(0x90)],
  ['v5 will topic of the server', `10 19 ${v5('06')} 00 ${id} 00 0005 2453595378 000170`, connack5(0x90)],
  ['v5 will delay twice', `10 1f ${v5('06')} 00 ${id} 0a 18 00000001 18 00000001 000174 000170`, connack5(0x82)],
  ['v5 empty response topic of a will', `10 18 ${v5('06')} 00 ${id} 03 08 0000 000174 000170`, connack5(0x81)],
  ['v5 user name of broken UTF-8', `10 11 ${v5('82')} 00 ${id} 0001 ff`, connack5(0x81)],
];

/** After a CONNACK, on MQTT 5; before MQTT 5 the same bytes, less their properties, close the connection. */
const open5: Vector[] = [
  ['a second CONNECT', `10 0e ${v5('02')} 00 ${id}`, disconnect(0x82)],
  ['packet type 0', '00 00', disconnect(0x82)],
  ['CONNACK', '20 03 00 00 00', disconnect(0x82)],
  ['SUBACK', '90 04 0001 00 00', disconnect(0x82)],
  ['UNSUBACK', 'b0 04 0001 00 00', disconnect(0x82)],
  ['PINGRESP', 'd0 00', disconnect(0x82)],
  ['AUTH', 'f0 02 18 00', disconnect(0x82)],
  ['a remaining length of five bytes', '30 ff ff ff ff 01', disconnect(0x81)],
  ['a remaining length with a byte too many', 'c0 80 00', disconnect(0x81)],
  ['PUBLISH QoS 3', '36 06 0001 61 0001 00', disconnect(0x81)],
  ['PUBLISH QoS 0 with DUP', '38 04 0001 61 00', disconnect(0x81)],
  ['PUBLISH without a body', '30 00', disconnect(0x81)],
  ['PUBLISH cut off in its topic', '30 04 0009 61 00', disconnect(0x81)],
  ['PUBLISH cut off in its packet id', '32 04 0001 61 00', disconnect(0x81)],
  ['PUBLISH cut off before its properties', '30 03 0001 61', disconnect(0x81)],
  ['PUBLISH packet id 0', '32 06 0001 61 0000 00', disconnect(0x82)],
  ['PUBLISH with no topic and no alias', '30 03 0000 00', disconnect(0x82)],
  ['PUBLISH topic with +', '30 06 0003 612f2b 00', disconnect(0x90)],
  ['PUBLISH topic with #', '30 04 0001 23 00', disconnect(0x90)],
  ['PUBLISH topic with U+0000', '30 06 0003 610062 00', disconnect(0x81)],
  ['PUBLISH topic with a lone surrogate', '30 06 0003 edbfbf 00', disconnect(0x81)],
  ['PUBLISH topic of broken UTF-8', '30 04 0001 c3 00', disconnect(0x81)],
  ['PUBLISH to $SYS', '30 08 0005 2453595378 00', disconnect(0x90)],
  ['PUBLISH topic of 101 levels', publish('a/'.repeat(100), { properties: '' }), disconnect(0x90)],
  ['PUBLISH topic of 1025 bytes', publish('a'.repeat(1025), { properties: '' }), disconnect(0x90)],
  ['PUBLISH response topic without a value', '30 05 0001 61 01 08', disconnect(0x81)],
  ['PUBLISH empty response topic', '30 07 0001 61 03 08 0000', disconnect(0x81)],
  ['PUBLISH response topic with a wildcard', '30 08 0001 61 04 08 0001 23', disconnect(0x90)],
  ['PUBLISH payload format 2', '30 06 0001 61 02 01 02', disconnect(0x82)],
  ['PUBLISH content type twice', '30 0a 0001 61 06 03 0000 03 0000', disconnect(0x82)],
  ['PUBLISH subscription identifier', '30 06 0001 61 02 0b 01', disconnect(0x82)],
  ['PUBLISH topic alias 0', '30 07 0001 61 03 23 0000', disconnect(0x94)],
  ['PUBLISH topic alias beyond the maximum', '30 07 0001 61 03 23 0011', disconnect(0x94)],
  ['PUBLISH topic alias that was never set', '30 06 0000 03 23 0001', disconnect(0x82)],
  ['PUBLISH property length with a byte too many', '30 05 0001 61 80 00', disconnect(0x81)],
  ['PUBLISH user property with half a pair', '30 07 0001 61 03 26 0000', disconnect(0x81)],
  ['PUBREL without its flag', '60 02 0001', disconnect(0x81)],
  ['PUBREL packet id 0', '62 02 0000', disconnect(0x82)],
  ['PUBREL reason code 0x80', '62 03 0001 80', disconnect(0x81)],
  ['PUBACK cut off', '40 01 00', disconnect(0x81)],
  ['PUBACK packet id 0', '40 02 0000', disconnect(0x82)],
  ['PUBACK reason code 1', '40 03 0001 01', disconnect(0x81)],
  ['PUBACK with a foreign property', '40 09 0001 00 05 11 00000001', disconnect(0x82)],
  ['PUBREC with a flag', '52 02 0001', disconnect(0x81)],
  ['PUBCOMP reason code 0x10', '70 03 0001 10', disconnect(0x81)],
  ['SUBSCRIBE without its flag', '80 07 0001 00 0001 61 00', disconnect(0x81)],
  ['SUBSCRIBE packet id 0', '82 07 0000 00 0001 61 00', disconnect(0x82)],
  ['SUBSCRIBE without a filter', '82 03 0001 00', disconnect(0x82)],
  ['SUBSCRIBE without options', '82 06 0001 00 0001 61', disconnect(0x81)],
  ['SUBSCRIBE QoS 3', '82 07 0001 00 0001 61 03', disconnect(0x81)],
  ['SUBSCRIBE reserved option bits', '82 07 0001 00 0001 61 40', disconnect(0x81)],
  ['SUBSCRIBE retain handling 3', '82 07 0001 00 0001 61 30', disconnect(0x82)],
  ['SUBSCRIBE identifier 0', '82 09 0001 02 0b 00 0001 61 00', disconnect(0x82)],
  ['SUBSCRIBE identifier twice', '82 0b 0001 04 0b 01 0b 01 0001 61 00', disconnect(0x82)],
  ['SUBSCRIBE empty filter', '82 06 0001 00 0000 00', disconnect(0x8f)],
  ['SUBSCRIBE a+/b', '82 0a 0001 00 0004 612b2f62 00', disconnect(0x8f)],
  ['SUBSCRIBE a#', '82 08 0001 00 0002 6123 00', disconnect(0x8f)],
  ['SUBSCRIBE #/a', '82 09 0001 00 0003 232f61 00', disconnect(0x8f)],
  ['SUBSCRIBE U+0000', '82 07 0001 00 0001 00 00', disconnect(0x81)],
  ['SUBSCRIBE $share//x', '82 0f 0001 00 0009 2473686172652f2f78 00', disconnect(0x8f)],
  ['SUBSCRIBE $share/g', '82 0e 0001 00 0008 2473686172652f67 00', disconnect(0x8f)],
  ['SUBSCRIBE $share/g/', '82 0f 0001 00 0009 2473686172652f672f 00', disconnect(0x8f)],
  ['SUBSCRIBE $share/g+/x', '82 11 0001 00 000b 2473686172652f672b2f78 00', disconnect(0x8f)],
  ['SUBSCRIBE No Local and shared', '82 10 0001 00 000a 2473686172652f672f78 04', disconnect(0x82)],
  ['SUBSCRIBE __proto__', '82 0f 0001 00 0009 5f5f70726f746f5f5f 00', disconnect(0x8f)],
  ['UNSUBSCRIBE without its flag', 'a0 06 0001 00 0001 61', disconnect(0x81)],
  ['UNSUBSCRIBE packet id 0', 'a2 06 0000 00 0001 61', disconnect(0x82)],
  ['UNSUBSCRIBE without a filter', 'a2 03 0001 00', disconnect(0x82)],
  ['UNSUBSCRIBE a+/b', 'a2 09 0001 00 0004 612b2f62', disconnect(0x8f)],
  ['UNSUBSCRIBE with a subscription identifier', 'a2 08 0001 02 0b 01 0001 61', disconnect(0x82)],
  ['PINGREQ with a flag', 'c1 00', disconnect(0x81)],
  ['PINGREQ with a body', 'c0 01 00', disconnect(0x81)],
  ['DISCONNECT with a flag', 'e1 00', disconnect(0x81)],
  ['DISCONNECT with a reason of the server', 'e0 01 8b', disconnect(0x82)],
  ['DISCONNECT that raises a session expiry of 0', 'e0 07 00 05 11 00000001', disconnect(0x82)],
  ['DISCONNECT with a server reference', 'e0 05 00 03 1c 0000', disconnect(0x81)],
  ['DISCONNECT with bytes after its properties', 'e0 03 00 00 00', disconnect(0x81)],
];

const open4: Vector[] = [
  ['a second CONNECT', `10 0d ${v4('02')} ${id}`, closed],
  ['AUTH', 'f0 00', closed],
  ['PUBLISH QoS 3', '36 05 0001 61 0001', closed],
  ['PUBLISH QoS 0 with DUP', '38 03 0001 61', closed],
  ['PUBLISH packet id 0', '32 05 0001 61 0000', closed],
  ['PUBLISH empty topic', '30 02 0000', closed],
  ['PUBLISH topic with a wildcard', '30 03 0001 23', closed],
  ['PUBLISH topic with U+0000', '30 03 0001 00', closed],
  ['PUBLISH to $SYS', '30 07 0005 2453595378', closed],
  ['PUBREL without its flag', '60 02 0001', closed],
  ['PUBACK with a reason code', '40 03 0001 00', closed],
  ['SUBSCRIBE reserved option bits', '82 06 0001 0001 61 04', closed],
  ['SUBSCRIBE QoS 3', '82 06 0001 0001 61 03', closed],
  ['SUBSCRIBE without a filter', '82 02 0001', closed],
  ['SUBSCRIBE a+/b', '82 09 0001 0004 612b2f62 00', closed],
  ['UNSUBSCRIBE without a filter', 'a2 02 0001', closed],
  ['DISCONNECT with a body', 'e0 01 00', closed],
];

describe('mqtt gate - malformed input', () => {
  let server: TestServer;
  let witness: RawClient;
  let sent = 0;

  beforeAll(async () => {
    server = await TestServer.start();
    witness = await server.rawConnected('witness');
  });

  afterAll(() => server.stop());

  async function check(client: RawClient, bytes: string | Buffer, reply: Reply): Promise<void> {
    const before = server.uplink.accepted.length;
    client.send(bytes);
    expectReply(await client.rest(), reply);
    expect(server.uplink.accepted.length).toBe(before);
    const packetId = (sent++ % 65_535) + 1;
    witness.send(publish('devices/w/events', { qos: 1, id: packetId }));
    expect(await witness.take(1)).toEqual([ack(0x40, packetId)]);
  }

  it.each(first)('I9: as the first packet, %s is refused', async (_name, bytes, reply) => {
    await check(await server.raw(), bytes, reply);
  });

  it.each(open5)('I9: on MQTT 5, %s is refused with a reason', async (_name, bytes, reply) => {
    await check(await server.rawConnected('a', { version: 5 }), bytes, reply);
  });

  it.each(open4)('I9: on MQTT 3.1.1, %s closes the connection', async (_name, bytes, reply) => {
    await check(await server.rawConnected('a'), bytes, reply);
  });

  it('counts every one of them as a protocol error, but for those that have a reason of their own', () => {
    const { closed: counted } = server.server.counters();
    expect(counted.protocol_error).toBe(first.length + open5.length + open4.length - 1);
    expect(counted.not_authorized).toBe(1); // enhanced authentication
    expect(counted.internal_error).toBe(0);
  });
});

describe('mqtt gate - unusual but well-formed input', () => {
  const vectors: readonly (readonly [name: string, version: 4 | 5, bytes: string, reply: string])[] = [
    ['a padded remaining length before MQTT 5', 4, 'c0 80 00', 'd000'],
    ['PUBLISH with an empty payload', 4, '32 05 0001 61 0001', '40020001'],
    ['PUBLISH topic of one slash', 4, '32 05 0001 2f 0001', '40020001'],
    ['PUBLISH topic with a byte order mark', 4, '32 08 0004 efbbbf61 0001', '40020001'],
    ['PUBLISH topic with U+FFFF', 5, '32 08 0003 efbfbf 0001 00', '40020001'],
    ['PUBLISH with the largest alias', 5, '32 09 0001 61 0001 03 23 0010', '40020001'],
    ['PUBREL of an unknown packet id', 4, '62 02 0007', '70020007'],
    ['SUBSCRIBE with every option of MQTT 5', 5, '82 07 0001 00 0001 61 2e', '9004000100' + '02'],
    ['SUBSCRIBE to constructor', 4, '82 10 0001 000b 636f6e7374727563746f72 00', '9003000100'],
    ['UNSUBSCRIBE from toString, never subscribed', 5, 'a2 0d 0001 00 0008 746f537472696e67', 'b004000100' + '11'],
  ];
  let server: TestServer;

  beforeAll(async () => {
    server = await TestServer.start();
  });

  afterAll(() => server.stop());

  it.each(vectors)('serves %s (version %i)', async (_name, version, bytes, reply) => {
    const client = await server.rawConnected('a', { version });
    client.send(bytes);
    expect(await client.take(1)).toEqual([reply]);
    client.socket.destroy();
    await client.closed;
  });
});

function hex(bytes: string): Buffer {
  return Buffer.from(bytes.replace(/\s/g, ''), 'hex');
}

function expectReply(packets: readonly Buffer[], reply: Reply): void {
  if (reply === 'closed') {
    expect(packets).toEqual([]);
    return;
  }
  expect(packets).toHaveLength(1);
  const last = packets[0]!;
  if ('connack' in reply) expect(last.toString('hex')).toBe(`200200${reply.connack.toString(16).padStart(2, '0')}`);
  else if ('connack5' in reply) expectReason(last, 0x20, 3, reply.connack5);
  else expectReason(last, 0xe0, 2, reply.disconnect);
}

/** Header, reason code, and one property: a reason string that says something. */
function expectReason(last: Buffer, header: number, codeAt: number, code: number): void {
  const body = last.subarray(last[1]! < 0x80 ? 2 : 3);
  const at = codeAt - 2;
  expect([last[0], body[at]]).toEqual([header, code]);
  const properties = body.subarray(at + 2 + (body[at + 1]! < 0x80 ? 0 : 1));
  expect(properties[0]).toBe(31);
  expect(properties.toString('utf8', 3)).toMatch(/^[A-Z$"].{10,}\.$/s);
}
