import { expect, it } from 'vitest';
import {
  ack,
  connect,
  disconnect,
  packet,
  pingreq,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  subscribe,
  text,
  u16,
} from './support/packets.ts';
import { Seeded } from './support/seeded.ts';
import { TestServer } from './support/test-server.ts';

const usual = ['a', 'b/c', 'devices/x/events', 'constructor', 'toString', 'devices/y/e', `${'a/'.repeat(99)}b`];
const odd = ['$SYS/x', '__proto__', '+/x', '#', 'a/#', '', '\0', '$share/g/x', `${'a/'.repeat(100)}b`];
const clientIds = ['k1', 'k2', 'constructor', '__proto__', 'x', ''];
const propertyIds = [1, 2, 3, 8, 9, 11, 17, 23, 31, 33, 35, 38, 39];

it('mqtt - whatever 1,500 clients say to it, in whatever pieces, the server stays and nothing of theirs does', async () => {
  const random = new Seeded();
  const server = await TestServer.start({ limits: { closeLingerMs: 20, storeDeadlineMs: 200 } });
  server.uplink.decide = ({ store, fail }) => {
    const fate = random.below(20);
    if (fate === 0) fail(new Error('not stored'));
    else if (fate < 10) setImmediate(store);
    else store();
  };
  for (let round = 0; round < 75; round++) {
    await Promise.all(Array.from({ length: 20 }, () => talk(server, random)));
  }
  const witness = await server.rawConnected('witness');
  while (server.server.counters().connections > 1) {
    witness.send(pingreq);
    await witness.take(1);
  }
  server.uplink.decide = ({ store }) => store();
  witness.send(publish('devices/w/events', { qos: 1 }));
  expect(await witness.take(1)).toEqual([ack(0x40, 1)]);
  const { closed, inflightBytes, qos0Bytes } = server.server.counters();
  expect([closed.internal_error, inflightBytes, qos0Bytes], `seed ${random.seed}`).toEqual([0, 0, 0]);
  await server.stop();
});

/** One connection: a conversation, perhaps with a few bytes changed, cut into pieces, and broken off somehow. */
async function talk(server: TestServer, random: Seeded): Promise<void> {
  const bytes = conversation(random);
  for (let n = random.chance(15) ? 1 + random.below(4) : 0; n > 0; n--)
    bytes[random.below(bytes.length)] = random.below(256);
  const client = await server.raw();
  for (let at = 0; at < bytes.length; ) {
    const size = random.chance(70) ? bytes.length : 1 + random.below(30);
    client.send(bytes.subarray(at, at + size));
    at += size;
    if (random.chance(30)) await new Promise((resolve) => setImmediate(resolve));
  }
  if (random.chance(30)) client.kill();
  else client.socket.end();
  await client.closed;
}

function conversation(random: Seeded): Buffer {
  const version = random.chance(50) ? 4 : 5;
  const clientId = random.chance(80) ? clientIds[random.below(clientIds.length)]! : nameOf(random);
  const properties = version === 5 ? { properties: propertiesOf(random) } : {};
  const will = { topic: nameOf(random), payload: 'w', qos: random.below(3), ...properties };
  const parts = [
    connect(clientId, {
      version,
      clean: random.chance(50),
      keepAlive: random.below(3),
      properties: random.chance(50) ? propertiesOf(random) : '11 00000005',
      ...(random.chance(30) && { will }),
    }),
  ];
  for (let n = random.below(15); n > 0; n--) parts.push(anyPacket(random, version));
  return Buffer.concat(parts);
}

function anyPacket(random: Seeded, version: 4 | 5): Buffer {
  const properties = version === 5 ? propertiesOf(random) : undefined;
  const id = random.chance(2) ? 0 : 1 + random.below(6);
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return publish(nameOf(random), {
        id,
        qos: random.below(3) as 0 | 1 | 2,
        dup: random.chance(20),
        retain: random.chance(30),
        payload: 'p'.repeat(random.below(200)),
        ...(properties !== undefined && { properties }),
      });
    case 3:
    case 4:
      return subscribe(id, Object.fromEntries(some(random, () => [nameOf(random), optionsOf(random)])), properties);
    case 5:
      return packet(0xa2, u16(id), Buffer.alloc(version === 5 ? 1 : 0), ...some(random, () => text(nameOf(random))));
    case 6:
      return pubrel(id);
    case 7:
      return puback(id);
    case 8:
      return pubrec(id);
    case 9:
      return pubcomp(id);
    case 10:
      return random.chance(20) ? disconnect : pingreq;
    default:
      return pingreq;
  }
}

function some<T>(random: Seeded, make: () => T): T[] {
  return Array.from({ length: 1 + random.below(4) }, make);
}

function nameOf(random: Seeded): string {
  return random.chance(93) ? usual[random.below(usual.length)]! : odd[random.below(odd.length)]!;
}

function optionsOf(random: Seeded): number {
  return random.below(random.chance(90) ? 3 : 64);
}

function propertiesOf(random: Seeded): string {
  if (random.chance(90)) return '';
  const byte = () => (random.chance(50) ? propertyIds[random.below(propertyIds.length)]! : random.below(4));
  return Buffer.from(Array.from({ length: random.below(12) }, byte)).toString('hex');
}
