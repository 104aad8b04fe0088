import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { PubSubError } from '../../src/domain/errors.ts';
import { ack, connect, packet, pingreq, puback, publish, subscribe, text, u16 } from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import { TestServer, type TestServerOptions } from './support/test-server.ts';

/** Names that every plain object already has something under. */
const inherited = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__', 'isPrototypeOf'];

describe('mqtt - one client never harms another', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  async function start(options: TestServerOptions = {}): Promise<TestServer> {
    server = await TestServer.start(options);
    return server;
  }

  async function listen(clientId: string, filter: string, qos = 0): Promise<RawClient> {
    const client = await server.rawConnected(clientId);
    client.send(subscribe(1, { [filter]: qos }));
    await client.take(1);
    return client;
  }

  it('I8 - a packet that declares 268 MB is refused at its header, before and after CONNECT', async () => {
    await start();
    const before = await server.raw();
    before.send('10 ff ff ff 7f', Buffer.alloc(1000));
    expect(await before.rest()).toEqual([]);
    const after = await server.rawConnected('a', { version: 5 });
    after.send('30 ff ff ff 7f', Buffer.alloc(1000));
    const [last] = await after.rest();
    expect([last![0], last![2]]).toEqual([0xe0, 0x95]);
    expect(server.server.counters().closed.packet_too_large).toBe(2);
  });

  it('I8 - a packet is bounded at 64 KiB before CONNECT and at packetBytesMax after it, to the byte', async () => {
    await start({ limits: { packetBytesMax: 100_000 } });
    const large = await server.raw();
    large.send(Buffer.concat([connect('a'), Buffer.alloc(0)]).fill(0x10, 0, 1), '');
    const client = await server.rawConnected('b');
    const overhead = publish('devices/b/events', { qos: 1, payload: Buffer.alloc(99_000) }).length - 99_000;
    client.send(publish('devices/b/events', { qos: 1, payload: Buffer.alloc(100_000 - overhead) }));
    expect(await client.take(1)).toEqual([ack(0x40, 1)]);
    client.send(publish('devices/b/events', { qos: 1, id: 2, payload: Buffer.alloc(100_001 - overhead) }));
    expect(await client.rest()).toEqual([]);
    const first = await server.raw();
    first.send('10 fe ff 03'); // 65,534 bytes follow: 65,538 in all
    expect(await first.rest()).toEqual([]);
    expect(server.server.counters().closed.packet_too_large).toBe(2);
  });

  it('I8 - a subscriber that does not read stops nobody, and costs no more than its bound', async () => {
    await start({ limits: { outboundBytesMax: 500_000 } });
    const stalled = await listen('stalled', '#');
    stalled.socket.pause();
    const healthy = await listen('healthy', '#');
    const publisher = await server.rawConnected('p');
    const payload = Buffer.alloc(10_000);
    for (let id = 1; id <= 1000; id++) {
      publisher.send(publish('local', { qos: 1, id, payload }));
      await publisher.take(1);
      await healthy.take(1);
    }
    expect(server.server.counters().dropped.outbound_qos0).toBeGreaterThan(0);
    expect(server.server.counters().closed.outbound_overflow).toBe(0);
  });

  it('I8 - a subscriber that does not read QoS 1 stops nobody: its session keeps what it cannot be sent', async () => {
    await start();
    const stalled = await server.rawConnected('stalled', { clean: false });
    stalled.send(subscribe(1, { '#': 1 }));
    await stalled.take(1);
    stalled.socket.pause();
    const healthy = await listen('healthy', '#', 1);
    const publisher = await server.rawConnected('p');
    const total = 300;
    for (let id = 1; id <= total; id++) {
      const payload = Buffer.alloc(10_000, 0);
      payload.writeUInt16BE(id);
      publisher.send(publish('local', { qos: 1, id, payload }));
      await publisher.take(1);
      expect((await healthy.next())!.readUInt16BE(12)).toBe(id);
      healthy.send(puback(id));
    }
    stalled.socket.destroy();
    const again = await server.rawConnected('stalled', { clean: false });
    for (let id = 1; id <= total; id++) {
      const message = (await again.next())!;
      expect([message.readUInt16BE(10), message.readUInt16BE(12)]).toEqual([id, id]);
      again.send(puback(id));
    }
    expect(server.server.counters().closed.outbound_overflow).toBe(0);
  });

  it('I8 - one that does not read QoS 1 and keeps no session is disconnected past its bound', async () => {
    await start({ limits: { outboundBytesMax: 500_000 } });
    const stalled = await listen('stalled', '#', 1);
    stalled.socket.pause();
    const publisher = await server.rawConnected('p');
    const payload = Buffer.alloc(10_000);
    for (let id = 1; server.server.counters().closed.outbound_overflow === 0; id++) {
      publisher.send(publish('local', { qos: 1, id, payload }));
      await publisher.take(1);
    }
    stalled.socket.resume();
    await stalled.closed;
  });

  it('I8 - a client that does not read its acknowledgements is not read from, until it does', async () => {
    await start();
    const refusal = new PubSubError('INVALID_ARGUMENT', 'Long. '.repeat(150));
    server.uplink.decide = ({ fail }) => fail(refusal);
    const client = await server.rawConnected('a', { version: 5 });
    client.socket.pause();
    const message = { qos: 1, payload: Buffer.alloc(4000), properties: '' } as const;
    const burst = Buffer.concat(
      Array.from({ length: 50 }, (_, n) => publish('devices/a/events', { ...message, id: n + 1 })),
    );
    let sent = 0;
    for (let idle = 0, before = 0; idle < 200; idle = server.server.counters().pubacks === before ? idle + 1 : 0) {
      before = server.server.counters().pubacks;
      if (client.socket.writableLength === 0) {
        client.socket.write(burst);
        sent += 50;
      }
      await turn();
    }
    const stuck = server.server.counters().pubacks;
    expect(stuck).toBeLessThan(sent);
    client.socket.resume();
    await client.take(sent);
    expect(server.server.counters().pubacks).toBe(sent);
  });

  it.each([...inherited, '__proto__'])('the client id %s is like any other', async (clientId) => {
    await start();
    for (const clean of [false, false, true]) {
      const client = await server.rawConnected(clientId, { clean });
      client.send(publish(`devices/${clientId}/events`, { qos: 1 }));
      expect(await client.take(1)).toEqual([ack(0x40, 1)]);
      client.kill();
    }
    const will = { topic: 'last', payload: 'will' };
    const listener = await listen('listener', 'last');
    const five = await server.rawConnected(clientId, { version: 5, properties: '11 0000003c', will });
    five.kill();
    expect(await listener.take(1)).toEqual([publish('last', { payload: 'will' }).toString('hex')]);
    expect(server.uplink.accepted.map((accepted) => accepted.clientId)).toEqual([clientId, clientId, clientId]);
  });

  it('the filters and topics that every object knows are like any other', async () => {
    await start();
    const client = await server.rawConnected('a', { clean: false });
    const filters = Object.fromEntries(inherited.map((name) => [name, 1]));
    client.send(subscribe(1, filters));
    expect(await client.take(1)).toEqual([`9008000101${'01'.repeat(inherited.length - 1)}`]);
    for (const [index, name] of inherited.entries()) {
      client.send(publish(name, { payload: 'x' }), publish('__proto__', { qos: 1, id: index + 1, retain: true }));
      expect((await client.take(2)).sort()).toEqual([publish(name).toString('hex'), ack(0x40, index + 1)].sort());
    }
    client.send(packet(0xa2, u16(2), ...inherited.map((name) => text(name))));
    expect(await client.take(1)).toEqual(['b0020002']);
  });

  it('user properties keep the keys that every object knows', async () => {
    await start();
    const listener = await server.rawConnected('b', { version: 5 });
    listener.send(subscribe(1, { x: 0 }, ''));
    await listener.take(1);
    const client = await server.rawConnected('a', { version: 5 });
    const properties = ['__proto__', 'constructor', '__proto__'].map(
      (key) => `26${text(key).toString('hex')}${text('v').toString('hex')}`,
    );
    client.send(publish('x', { properties: properties.join('') }));
    const [delivered] = await listener.take(1);
    for (const pair of properties) expect(delivered).toContain(pair);
  });

  it('a client that is busy and never pings is not taken for a silent one; a silent one is closed', async () => {
    await start();
    const silent = await server.rawConnected('silent', { version: 5, keepAlive: 1 });
    const busy = await server.rawConnected('busy', { keepAlive: 1 });
    const closed = silent.rest();
    let silentIsGone = false;
    void closed.then(() => {
      silentIsGone = true;
    });
    for (let id = 1; !silentIsGone; id = (id % 65_535) + 1) {
      busy.send(publish('devices/b/events', { qos: 1, id }));
      await busy.take(1);
    }
    const [last] = await closed;
    expect([last![0], last![2]]).toEqual([0xe0, 0x8d]);
    busy.send(pingreq);
    expect(await busy.take(1)).toEqual(['d000']);
    expect(server.server.counters().closed).toMatchObject({ keep_alive: 1, client_gone: 0 });
  });

  it('I8 - a refused connection is over as soon as the client has closed it, whatever the client still sends', async () => {
    await start({ limits: { closeLingerMs: 60_000, inflightMax: 1, storeDeadlineMs: 100 } });
    server.uplink.decide = () => {};
    const client = await server.rawConnected('a', { version: 5 });
    const large = publish('devices/a/events', { qos: 1, properties: '', payload: Buffer.alloc(100_000) });
    client.send(...Array.from({ length: 100 }, () => large));
    const [last] = await client.rest();
    expect([last![0], last![2]]).toEqual([0xe0, 0x97]);
    while (server.server.counters().connections > 0) await turn();
  });

  it('I8 - one connection more than there may be is closed at once, and its place is free again later', async () => {
    await start({ limits: { connectionsMax: 2 } });
    const first = await server.rawConnected('a');
    await server.rawConnected('b');
    const third = await server.raw();
    await third.closed;
    first.kill();
    const witness = server.server;
    while (witness.counters().connections > 1) await turn();
    await server.rawConnected('c');
    expect(witness.counters().closed.connections_max).toBe(1);
  });

  it('I8 - a connection that sends no CONNECT, or half of one, is closed in time', async () => {
    await start({ limits: { connectTimeoutMs: 50 } });
    const silent = await server.raw();
    const half = await server.raw();
    half.send('10 20 00 04 4d');
    await Promise.all([silent.closed, half.closed]);
    expect(server.server.counters().closed.connect_timeout).toBe(2);
  });

  it('I8 - one subscription more than a connection may have ends it', async () => {
    await start({ limits: { subscriptionsMax: 3 } });
    const client = await server.rawConnected('a', { version: 5 });
    client.send(subscribe(1, { a: 0, b: 0, c: 0 }, ''), subscribe(2, { a: 1 }, ''), subscribe(3, { d: 0 }, ''));
    const packets = await client.rest();
    expect(packets.map((answer) => answer[0])).toEqual([0x90, 0x90, 0xe0]);
    expect(packets[2]![2]).toBe(0x97);
  });

  it('clients that vanish in the middle of anything leave nothing behind', async () => {
    await start();
    const bytes = Buffer.concat([
      connect('a', { version: 5, will: { topic: 'w', payload: 'x' } }),
      subscribe(1, { '#': 1 }, ''),
      publish('devices/a/events', { qos: 2, id: 5, properties: '' }),
    ]);
    for (let length = 1; length <= bytes.length; length++) {
      const client = await server.raw();
      client.send(bytes.subarray(0, length));
      client.socket.end();
      await once(client.socket, 'close');
    }
    while (server.server.counters().connections > 0) await turn();
    const { inflightBytes, closed } = server.server.counters();
    expect([inflightBytes, closed.internal_error]).toEqual([0, 0]);
    const survivor = await server.rawConnected('a');
    survivor.send(pingreq);
    expect(await survivor.take(1)).toEqual(['d000']);
  });
});

/** One turn of the event loop, in which the server, too, does its work. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
