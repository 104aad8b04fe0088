import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisServer } from '../support/redis-server.ts';
import { Deployment } from './support/deployment.ts';
import {
  ack,
  type ConnectFields,
  connect,
  disconnect,
  pingreq,
  puback,
  publish,
  pubrel,
  resumed,
  subscribe,
} from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import type { TestServer } from './support/test-server.ts';

const hour = '11 00000e10';
const kept = { clean: false } as const;
const keptFive = { version: 5, clean: false, properties: hour } as const;
const topic = 'devices/a/state';
/** Longer than a silent node lives. */
const deadMs = 30_000;

describe('mqtt across nodes', () => {
  let redis: RedisServer;
  let deployment: Deployment;
  let here: TestServer;
  let there: TestServer;
  const others: Deployment[] = [];
  let prefixes = 0;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());
  beforeEach(async () => {
    deployment = new Deployment(redis, `nodes-${++prefixes}:`);
    here = await deployment.node();
    there = await deployment.node();
  });
  afterEach(async () => {
    for (const other of [deployment, ...others.splice(0)]) await other.remove();
  });

  async function listen(
    server: TestServer,
    clientId: string,
    filters: Record<string, number>,
    fields: ConnectFields = {},
  ) {
    const client = await server.rawConnected(clientId, fields);
    client.send(subscribe(1, filters, fields.version === 5 ? '' : undefined));
    await client.take(1);
    return client;
  }

  async function nothingMore(client: RawClient): Promise<void> {
    client.send(pingreq);
    expect(await client.take(1)).toEqual(['d000']);
  }

  it('I11 - a client that connects to another node takes itself over: the first connection is told 0x8E', async () => {
    const first = await listen(here, 'a', { x: 1 }, keptFive);
    const second = await there.raw();
    second.send(connect('a', keptFive));
    const [last] = await first.rest();
    expect([last![0], last![2]]).toEqual([0xe0, 0x8e]);
    expect((await second.next())!.toString('hex', 2, 4)).toBe('0100');
    const publisher = await here.rawConnected('p');
    publisher.send(publish('x', { qos: 1 }));
    expect(await second.take(1)).toEqual([publish('x', { qos: 1, properties: '' }).toString('hex')]);
    expect(here.server.counters().closed.taken_over).toBe(1);
  });

  it('I11 - many connections of one client to all nodes at once leave one of them', async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, (_, n) => (n % 2 ? here : there).raw()));
    for (const client of clients) client.send(connect('a', kept));
    const open = new Set(clients);
    await new Promise<void>((resolve) => {
      for (const client of clients) {
        void client.closed.then(() => {
          open.delete(client);
          if (open.size === 1) resolve();
        });
      }
    });
    const [last] = open;
    const connack = (await last!.next())!;
    expect(connack.toString('hex', 0, 2)).toBe('2002');
    await nothingMore(last!);
  });

  it('I11 - a session goes on at another node, with its subscriptions and everything in its queue, in order', async () => {
    const client = await listen(here, 'a', { 'q/#': 1, 'z/#': 0 }, kept);
    const publisher = await there.rawConnected('p');
    publisher.send(publish('q', { qos: 1, id: 1 }));
    await publisher.take(1);
    expect(await client.take(1)).toEqual([publish('q', { qos: 1 }).toString('hex')]);
    client.kill();
    const texts = Array.from({ length: 1500 }, (_, n) => String(n));
    for (let from = 0; from < texts.length; from += 30) {
      const batch = texts.slice(from, from + 30);
      publisher.send(...batch.map((payload, n) => publish('q/x', { qos: 1, id: n + 1, payload })));
      await publisher.take(batch.length);
    }
    const again = await there.raw();
    again.send(connect('a', kept));
    expect(await again.take(2)).toEqual([resumed, publish('q', { qos: 1, dup: true }).toString('hex')]);
    again.send(puback(1));
    for (const [n, payload] of texts.entries()) {
      const message = (await again.next())!;
      expect(message.toString('utf8', 9)).toBe(payload);
      expect(message.readUInt16BE(7)).toBe(n + 2);
      again.send(puback(n + 2));
    }
    const other = await here.rawConnected('o');
    other.send(publish('z/1', { payload: 'live' }));
    expect(await again.take(1)).toEqual([publish('z/1', { payload: 'live' }).toString('hex')]);
  });

  it('I6 - QoS 2 is stored once when its session moves between PUBLISH and PUBREL', async () => {
    const first = await here.rawConnected('a', kept);
    first.send(publish('devices/a/events', { qos: 2, id: 7, payload: 'once' }));
    expect(await first.take(1)).toEqual([ack(0x50, 7)]);
    first.kill();
    const second = await there.rawConnected('a', kept);
    second.send(publish('devices/a/events', { qos: 2, id: 7, dup: true, payload: 'once' }));
    expect(await second.take(1)).toEqual([ack(0x50, 7)]);
    second.send(pubrel(7), publish('devices/a/events', { qos: 2, id: 8, payload: 'moved' }));
    expect((await second.take(2)).sort()).toEqual([ack(0x50, 8), ack(0x70, 7)].sort());
    second.send(pubrel(8));
    await second.take(1);
    second.kill();
    const back = await here.rawConnected('a', kept); // which remembers 7, and must not believe it
    back.send(publish('devices/a/events', { qos: 2, id: 7, payload: 'again' }));
    expect(await back.take(1)).toEqual([ack(0x50, 7)]);
    expect(deployment.uplink.texts()).toEqual(['once', 'moved', 'again']);
  });

  it('live messages of QoS 0 and 1 reach subscribers of other nodes once, at the QoS that they are entitled to', async () => {
    const one = await listen(there, 'one', { 'x/#': 1, 'x/+': 0 });
    const zero = await listen(there, 'zero', { 'x/#': 0 });
    const own = await listen(here, 'own', { 'x/#': 0 });
    const publisher = await here.rawConnected('p');
    publisher.send(publish('x/1', { qos: 1, payload: 'a' }), publish('x/1', { payload: 'b' }));
    await publisher.take(1);
    expect((await one.take(2)).sort()).toEqual(
      [publish('x/1', { qos: 1, payload: 'a' }), publish('x/1', { payload: 'b' })]
        .map((hex) => hex.toString('hex'))
        .sort(),
    );
    for (const client of [zero, own]) {
      const seen = (await client.take(2)).map((hex) => Buffer.from(hex, 'hex').toString('utf8', 7));
      expect(seen.sort()).toEqual(['a', 'b']);
    }
    one.send(puback(1), disconnect);
    await one.closed;
    publisher.send(publish('x/1', { payload: 'c' }));
    expect(await zero.take(1)).toEqual([publish('x/1', { payload: 'c' }).toString('hex')]);
    for (const client of [zero, own]) expect(client.arrived).toBe(client === own ? 1 : 0);
  });

  it('a message for a kept session is queued by the node that it came to, and stored, retained and queued once', async () => {
    const subscriber = await listen(there, 'a', { '#': 1 }, kept);
    const publisher = await here.rawConnected('p');
    publisher.send(publish(topic, { qos: 1, retain: true, payload: 'on' }));
    await publisher.take(1);
    expect(await subscriber.take(1)).toEqual([publish(topic, { qos: 1, payload: 'on' }).toString('hex')]);
    await deployment.pass(2000);
    await nothingMore(subscriber);
    expect(deployment.uplink.texts()).toEqual(['on']);
    const late = await listen(there, 'late', { [topic]: 0 });
    expect(await late.take(1)).toEqual([publish(topic, { retain: true, payload: 'on' }).toString('hex')]);
  });

  it('retained messages are the same on all nodes, also on one that comes later', async () => {
    const publisher = await here.rawConnected('p');
    publisher.send(publish('r/1', { qos: 1, id: 1, retain: true, payload: 'one' }));
    publisher.send(publish('r/2', { qos: 1, id: 2, retain: true, payload: 'two' }));
    await publisher.take(2);
    const retained = ['r/1', 'r/2'].map((name, n) =>
      publish(name, { retain: true, payload: n ? 'two' : 'one' }).toString('hex'),
    );
    const client = await listen(there, 'b', { 'r/#': 0 });
    expect((await client.take(2)).sort()).toEqual(retained);
    publisher.send(publish('r/1', { qos: 1, id: 3, retain: true, payload: '' }));
    await publisher.take(1);
    const third = await deployment.node();
    for (const server of [here, there, third]) {
      const late = await listen(server, 'late', { 'r/#': 0 });
      expect(await late.take(1)).toEqual([retained[1]]);
      await nothingMore(late);
    }
  });

  it('I11 - the will of a client whose node was killed is sent once, by the others', async () => {
    const third = await deployment.node();
    const witness = await listen(there, 'witness', { '#': 0 });
    await here.rawConnected('a', { will: { topic, payload: 'gone' } });
    await deployment.kill(here);
    await deployment.pass(deadMs);
    expect(await witness.take(1)).toEqual([publish(topic, { payload: 'gone' }).toString('hex')]);
    await deployment.pass(deadMs);
    await nothingMore(witness);
    expect([deployment.uplink.texts(), third.server.counters().nodes]).toEqual([['gone'], 1]);
  });

  it('I11 - a delayed will is not sent when the client reconnects to another node, and is sent once when it does not', async () => {
    const fields = { ...keptFive, will: { topic, payload: 'late', properties: '18 00000014' } };
    (await here.rawConnected('a', fields)).kill();
    (await here.rawConnected('b', { ...fields, will: { ...fields.will, payload: 'sent' } })).kill();
    await deployment.pass(10_000);
    await there.rawConnected('a', keptFive);
    await deployment.pass(deadMs);
    expect(deployment.uplink.texts()).toEqual(['sent']);
  });

  it('I11 - a killed node loses nothing that was acknowledged: its clients find sessions and queues on the other', async () => {
    const client = await listen(here, 'a', { 'q/#': 1 }, kept);
    const publisher = await here.rawConnected('p');
    publisher.send(...[1, 2, 3].map((id) => publish('q/x', { qos: 1, id, payload: String(id) })));
    await publisher.take(3);
    await client.take(3); // and acknowledges none
    await deployment.kill(here);
    const again = await there.raw();
    again.send(connect('a', kept));
    const messages = [1, 2, 3].map((id) =>
      publish('q/x', { qos: 1, id, dup: true, payload: String(id) }).toString('hex'),
    );
    expect(await again.take(4)).toEqual([resumed, ...messages]);
  });

  it('a session ends on all nodes: what comes later is for nobody', async () => {
    const client = await listen(here, 'a', { 'q/#': 1 }, keptFive);
    client.send('e0 07 00 05 11 00000000'); // ends now
    await client.closed;
    await deployment.pass(1000);
    const again = await there.raw();
    again.send(connect('a', keptFive));
    expect((await again.next())!.toString('hex', 2, 4)).toBe('0000');
    const publisher = await here.rawConnected('p');
    publisher.send(publish('q/x', { qos: 1 }));
    await publisher.take(1);
    await nothingMore(again);
  });

  it('two deployments on one Redis do not hear each other', async () => {
    const other = new Deployment(redis, `nodes-${++prefixes}:`);
    others.push(other);
    const stranger = await other.node();
    const listener = await listen(stranger, 'a', { '#': 1 }, kept);
    const own = await listen(here, 'a', { '#': 1 }, kept);
    const publisher = await there.rawConnected('p');
    publisher.send(publish('x', { qos: 1, retain: true }));
    await publisher.take(1);
    await own.take(1);
    await nothingMore(listener);
    await other.pass(1000);
    expect(stranger.server.counters()).toMatchObject({ nodes: 0, sessions: 1, retainedMessages: 0 });
  });
});
