import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { reasonCodes } from '../../src/mqtt/refusal.ts';
import { testCertificate } from './support/certificate.ts';
import { ack, connect, pingreq, publish, resumed } from './support/packets.ts';
import type { Accepted } from './support/recording-uplink.ts';
import { TestServer } from './support/test-server.ts';

describe('mqtt over WebSocket', () => {
  let server: TestServer;
  let http: Server;
  let port: number;

  beforeEach(async () => {
    server = await TestServer.start({ limits: { packetBytesMax: 100_000 } });
    http = createServer((_request, response) => response.end('http'));
    server.server.attachWebSocket(http, '/mqtt', ['https://allowed.example']);
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    port = (http.address() as AddressInfo).port;
  });

  afterEach(async () => {
    await server.stop();
    http.close();
  });

  /** @returns the HTTP status of the refusal and what it says. */
  async function refusal(path: string, protocols: string[], headers = {}): Promise<[number, string]> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers });
    const [, response] = await once(socket, 'unexpected-response');
    const chunks = await response.toArray();
    return [response.statusCode, Buffer.concat(chunks).toString()];
  }

  it('serves a public client: publish, subscribe, a large message', async () => {
    const client = await server.mqtt({ protocol: 'ws', path: '/mqtt', port, protocolVersion: 5 });
    await client.subscribeAsync('x/#', { qos: 1 });
    const payload = Buffer.alloc(90_000, 'p');
    const received = new Promise<[string, boolean]>((resolve) => {
      client.on('message', (topic, message) => resolve([topic, message.equals(payload)]));
    });
    await client.publishAsync('x/large', payload, { qos: 1 });
    expect(await received).toEqual(['x/large', true]);
    await client.publishAsync('devices/a/events', 'stored', { qos: 2 });
    expect(server.uplink.texts()).toEqual(['stored']);
  });

  it('takes packets in any pieces, and several in one message', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt?x=1`, ['mqtt']);
    await once(socket, 'open');
    expect(socket.protocol).toBe('mqtt');
    const answers: Buffer[] = [];
    socket.on('message', (data: Buffer) => answers.push(data));
    for (const byte of connect('a')) socket.send(Buffer.of(byte));
    socket.send(Buffer.concat([publish('local', { qos: 1, id: 1 }), publish('local', { qos: 1, id: 2 }), pingreq]));
    while (Buffer.concat(answers).length < 14) await once(socket, 'message');
    expect(Buffer.concat(answers).toString('hex')).toBe(`20020000${ack(0x40, 1)}${ack(0x40, 2)}d000`);
    socket.close();
    await once(socket, 'close');
  });

  it('MQTT-6.0.0-1: a text message closes the connection', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt']);
    await once(socket, 'open');
    socket.send('text');
    const [code] = await once(socket, 'close');
    expect(code).toBe(1003);
  });

  it('I8 - a WebSocket message larger than any packet closes the connection', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt']);
    await once(socket, 'open');
    socket.send(Buffer.alloc(200_000));
    const [code] = await once(socket, 'close');
    expect(code).toBe(1009);
  });

  it('MQTT-6.0.0-3: says what to ask for when the subprotocol is missing', async () => {
    expect(await refusal('/mqtt', [])).toEqual([400, expect.stringContaining('"mqtt"')]);
  });

  it('says where MQTT is when the path is another', async () => {
    expect(await refusal('/other', ['mqtt'])).toEqual([404, 'MQTT is at /mqtt.']);
  });

  it('lets pages of this host and of allowed origins connect, and no others', async () => {
    const foreign = await refusal('/mqtt', ['mqtt'], { Origin: 'https://evil.example' });
    expect(foreign).toEqual([403, expect.stringContaining('https://evil.example')]);
    for (const origin of [`http://127.0.0.1:${port}`, 'https://allowed.example']) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt'], { origin });
      await once(socket, 'open');
      socket.terminate();
    }
  });

  it('a vanished WebSocket client leaves nothing behind', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt']);
    await once(socket, 'open');
    socket.send(connect('a'));
    await once(socket, 'message');
    socket.terminate();
    while (server.server.counters().connections > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(server.server.counters().closed.client_gone).toBe(1);
  });
});

describe('mqtt over TLS', () => {
  it('serves a public client', async () => {
    const server = await TestServer.start();
    const { port } = await server.server.listenTls({ host: '127.0.0.1', port: 0 }, testCertificate);
    const client = await server.mqtt({ protocol: 'mqtts', port, rejectUnauthorized: false });
    await client.publishAsync('devices/a/events', Buffer.alloc(50_000, 'x'), { qos: 1 });
    expect(server.uplink.texts()).toEqual(['x'.repeat(50_000)]);
    await server.stop();
  });

  it('refuses a certificate that is none before it listens', async () => {
    const server = await TestServer.start();
    const listening = () => server.server.listenTls({ host: '127.0.0.1', port: 0 }, { cert: 'no', key: 'no' });
    await expect(async () => listening()).rejects.toThrow();
    await server.stop();
  });
});

describe('mqtt server', () => {
  it('says why it cannot listen', async () => {
    const server = await TestServer.start();
    await expect(server.server.listenTcp({ host: '127.0.0.1', port: server.port })).rejects.toThrow('EADDRINUSE');
    await server.stop();
  });

  it('asks who is there before anything of a session is touched', async () => {
    const denial = { code: reasonCodes.notAuthorized, message: 'Only b is known here.' };
    const server = await TestServer.start({ authenticate: ({ username }) => (username === 'b' ? undefined : denial) });
    const client = await server.mqtt({ clientId: 'x', username: 'b', clean: false });
    await client.subscribeAsync('t', { qos: 1 });
    await client.endAsync();
    const three = await server.raw();
    three.send(connect('x'));
    expect((await three.rest()).map((connack) => connack.toString('hex'))).toEqual(['20020005']);
    const five = await server.raw();
    five.send(connect('x', { version: 5 }));
    const [connack] = await five.rest();
    expect(connack![3]).toBe(0x87);
    expect(connack!.toString()).toContain(denial.message);
    const publisher = await server.mqtt({ username: 'b' });
    await publisher.publishAsync('t', 'still subscribed', { qos: 1 });
    const again = await server.raw();
    again.send(connect('x', { clean: false, username: 'b' }));
    const [present, message] = await again.take(2);
    expect(present).toBe(resumed);
    expect(message).toContain(Buffer.from('still subscribed').toString('hex'));
    await server.stop();
  });

  it('an authentication that throws or fails is answered "server unavailable"', async () => {
    for (const authenticate of [() => Promise.reject(new Error('a bug')), throwing]) {
      const server = await TestServer.start({ authenticate });
      const client = await server.raw();
      client.send(connect('x'));
      expect((await client.rest()).map((connack) => connack.toString('hex'))).toEqual(['20020003']);
      await server.stop();
    }
  });

  it('an authentication that never ends holds neither its connection nor the server, and changes nothing', async () => {
    const server = await TestServer.start({
      authenticate: ({ username }) => (username === 'b' ? undefined : new Promise(() => {})),
      limits: { connectTimeoutMs: 50 },
    });
    const live = await server.mqtt({ clientId: 'x', username: 'b' });
    const stuck = await server.raw();
    stuck.send(connect('x'));
    expect(await stuck.rest()).toEqual([]);
    await live.publishAsync('devices/x/e', 'still here', { qos: 1 });
    expect(server.uplink.texts()).toEqual(['still here']);
    await server.stop(60_000);
    expect(server.server.counters().closed).toMatchObject({ connect_timeout: 1, taken_over: 0 });
  });

  it('an uplink that cannot open a device refuses the client, and its session is free', async () => {
    const server = await TestServer.start();
    const open = server.uplink.open.bind(server.uplink);
    server.uplink.open = throwing;
    const client = await server.raw();
    client.send(connect('x', { clean: false }));
    expect((await client.rest()).map((connack) => connack.toString('hex'))).toEqual(['20020003']);
    server.uplink.open = open;
    await server.rawConnected('x', { clean: false });
    await server.stop();
  });

  it('names a client that has no name, and tells it on MQTT 5', async () => {
    const server = await TestServer.start();
    const three = await server.rawConnected('');
    three.send(publish('devices/x/e', { qos: 1 }));
    await three.take(1);
    const five = await server.raw();
    five.send(connect('', { version: 5 }));
    const name = (await five.next())!.toString().match(/headwater-[-0-9a-f]{36}/)![0];
    five.send(publish('devices/x/e', { qos: 1, properties: '' }));
    await five.take(1);
    const [first, second] = server.uplink.stored.map(({ clientId }) => clientId);
    expect(first).toMatch(/^headwater-/);
    expect(second).toBe(name);
    await server.stop();
  });

  it('stops: acknowledges what it has taken, takes nothing more, and says goodbye', async () => {
    const server = await TestServer.start({ limits: { inflightMax: 2 } });
    const held: Accepted[] = [];
    server.uplink.decide = (accepted) => held.push(accepted);
    const client = await server.rawConnected('a', { version: 5 });
    const idle = await server.rawConnected('b');
    for (const id of [1, 2, 3]) client.send(publish('devices/a/events', { qos: 1, id, properties: '' }));
    await server.uplink.acceptedCount(2);
    const stopped = server.server.close(10_000);
    const late = await server.raw().catch(() => undefined);
    await late?.closed;
    await idle.closed;
    for (const { store } of held) store();
    const [one, two, last, ...more] = await client.rest();
    expect([one, two].map((packet) => packet!.toString('hex'))).toEqual([ack(0x40, 1), ack(0x40, 2)]);
    expect([last![0], last![2]]).toEqual([0xe0, 0x8b]);
    expect(more).toEqual([]);
    await stopped;
    expect(held).toHaveLength(2);
    expect(server.server.counters()).toMatchObject({ connections: 0, inflightBytes: 0 });
  });

  it('stops in time when the store hangs', async () => {
    const server = await TestServer.start();
    server.uplink.decide = () => {};
    const client = await server.rawConnected('a');
    client.send(publish('devices/a/events', { qos: 1 }));
    await server.uplink.acceptedCount(1);
    await server.server.close(20);
    expect(await client.rest()).toEqual([]);
    expect(server.server.counters().closed.shutdown).toBe(1);
  });
});

function throwing(): never {
  throw new Error('a bug');
}
