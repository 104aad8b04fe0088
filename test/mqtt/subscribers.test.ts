import { afterEach, describe, expect, it } from 'vitest';
import { ack, connect, disconnect, pubcomp, publish, pubrec, pubrel, subscribe, text } from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import { TestServer, type TestServerOptions } from './support/test-server.ts';

describe('mqtt subscribers', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  async function start(options: TestServerOptions = {}): Promise<TestServer> {
    server = await TestServer.start(options);
    return server;
  }

  async function listen(clientId: string, filter: string, options = 0): Promise<RawClient> {
    const client = await server.rawConnected(clientId, { version: 5 });
    client.send(subscribe(1, { [filter]: options }, ''));
    await client.take(1);
    return client;
  }

  it('a will is stored like any message, and reaches subscribers', async () => {
    await start();
    const listener = await listen('b', 'devices/+/state');
    const will = {
      topic: 'devices/a/state',
      payload: 'gone',
      qos: 1,
      properties: `03${text('text/plain').toString('hex')}`,
    };
    const client = await server.rawConnected('a', { version: 5, will });
    client.kill();
    const [delivered] = await listener.take(1);
    expect(delivered).toContain(Buffer.from('gone').toString('hex'));
    expect(server.uplink.stored).toMatchObject([
      { clientId: 'a', text: 'gone', publish: { qos: 1, retain: false, properties: { contentType: 'text/plain' } } },
    ]);
  });

  it('a will that cannot be stored is counted, and reaches subscribers all the same', async () => {
    await start();
    server.uplink.decide = () => {
      throw new Error('a bug');
    };
    const listener = await listen('b', 'devices/+/state');
    const client = await server.rawConnected('a', { will: { topic: 'devices/a/state', payload: 'gone' } });
    client.kill();
    await listener.take(1);
    expect(server.server.counters().dropped.will_not_stored).toBe(1);
  });

  it('a will delay is not one of the properties that subscribers see', async () => {
    await start();
    const listener = await listen('b', 'last');
    const will = { topic: 'last', payload: 'x', properties: '18 00000001' };
    const client = await server.rawConnected('a', { version: 5, properties: '11 0000003c', will });
    client.kill();
    expect(await listener.take(1)).toEqual([publish('last', { properties: '' }).toString('hex')]);
  });

  it.each([
    ['a DISCONNECT takes the will back', 'e000', []],
    ['a DISCONNECT with reason 4 does not', 'e00104', ['will']],
    ['a DISCONNECT with an error of the client does not', 'e00181', ['will']],
  ])('%s', async (_name, bytes, wills) => {
    await start();
    const listener = await listen('b', '#');
    const client = await server.rawConnected('a', { version: 5, will: { topic: 'w', payload: 'will' } });
    client.send(bytes);
    await client.closed;
    const other = await server.rawConnected('a'); // by then everything of the first connection is over
    other.send(publish('end', { payload: 'end' }));
    const seen: string[] = [];
    while (!seen.includes('end'))
      seen.push(
        Buffer.from((await listener.take(1))[0]!, 'hex')
          .toString()
          .match(/will|end$/)![0],
      );
    expect(seen).toEqual([...wills, 'end']);
  });

  it('a retained message waits for its subscribers until an empty one removes it', async () => {
    await start();
    const client = await server.rawConnected('a');
    client.send(publish('devices/a/state', { qos: 1, id: 1, retain: true, payload: 'on' }));
    await client.take(1);
    const listener = await listen('b', 'devices/#');
    expect(await listener.take(1)).toEqual([
      publish('devices/a/state', { retain: true, payload: 'on', properties: '' }).toString('hex'),
    ]);
    client.send(publish('devices/a/state', { qos: 1, id: 2, retain: true, payload: '' }));
    await client.take(1);
    expect(server.server.counters().retainedMessages).toBe(0);
    expect(server.server.counters().retainedBytes).toBe(0);
  });

  it.each([
    [2, { 'x/#': 1 }, '32'],
    [1, { 'x/#': 0 }, '30'],
    [1, { 'x/#': 2 }, '32'],
  ] as const)('MQTT-3.8.4-8: QoS %i reaches the filters %j with header %s', async (qos, filters, header) => {
    await start();
    const listener = await server.rawConnected('b');
    listener.send(subscribe(1, filters));
    await listener.take(1);
    const client = await server.rawConnected('a');
    client.send(publish('x/y', { qos }));
    expect((await listener.take(1))[0]!.slice(0, 2)).toBe(header);
  });

  it('I8 - retained messages are bounded: one on a new topic is not kept, one on a known topic replaces it', async () => {
    await start({ limits: { retainedMessagesMax: 2 } });
    const client = await server.rawConnected('a');
    const topics = ['t/1', 't/2', 't/3', 't/1'];
    for (const [index, topic] of topics.entries()) {
      client.send(publish(topic, { qos: 1, id: index + 1, retain: true, payload: `v${index}` }));
    }
    await client.take(4);
    expect(server.server.counters()).toMatchObject({ retainedMessages: 2, dropped: { retained_full: 1 } });
    const listener = await listen('b', 't/+');
    const seen = (await listener.take(2)).map((hex) => Buffer.from(hex, 'hex').toString().slice(-2));
    expect(seen.sort()).toEqual(['v1', 'v3']);
  });

  it('MQTT 5 properties of a message reach the uplink and the subscriber', async () => {
    await start();
    const listener = await listen('b', 'devices/#', 1);
    const client = await server.rawConnected('a', { version: 5 });
    const user = (key: string, value: string) => `26${text(key).toString('hex')}${text(value).toString('hex')}`;
    const properties = `02 0000003c 01 01 03 0001 63 08 0001 72 09 0002 0001 ${user('k', '1')} ${user('k', '2')}`;
    client.send(publish('devices/a/events', { qos: 1, properties: `${properties} 23 0005` }));
    await client.take(1);
    client.send(publish('', { qos: 1, id: 2, properties: '23 0005', payload: 'by alias' }));
    await client.take(1);
    expect(server.uplink.stored[0]!.publish.properties).toEqual({
      payloadFormat: 1,
      messageExpirySeconds: 60,
      contentType: 'c',
      responseTopic: 'r',
      correlationData: Buffer.of(0, 1),
      user: [
        ['k', '1'],
        ['k', '2'],
      ],
    });
    expect(server.uplink.stored[1]).toMatchObject({ topic: 'devices/a/events', text: 'by alias' });
    const [first, second] = await listener.take(2);
    expect(first).toContain(properties.replace(/\s/g, ''));
    expect(second).toMatch(/00.{0,4}6279/);
    expect(second).toContain(text('devices/a/events').toString('hex'));
  });

  it('a topic alias can be set anew, and holds for one connection', async () => {
    await start();
    const client = await server.rawConnected('a', { version: 5 });
    client.send(publish('devices/1/e', { properties: '23 0001' }), publish('', { properties: '23 0001' }));
    client.send(publish('devices/2/e', { properties: '23 0001' }), publish('', { properties: '23 0001' }));
    client.send(disconnect);
    await client.closed;
    expect(server.uplink.stored.map(({ topic }) => topic)).toEqual([
      'devices/1/e',
      'devices/1/e',
      'devices/2/e',
      'devices/2/e',
    ]);
    const again = await server.rawConnected('a', { version: 5 });
    again.send(publish('', { properties: '23 0001' }));
    const [last] = await again.rest();
    expect(last![2]).toBe(0x82);
  });

  it('MQTT-3.8.3-3: No Local keeps a client from its own messages, connected or not', async () => {
    await start();
    const client = await server.raw();
    const fields = { version: 5, clean: false, properties: '11 0000003c' } as const;
    client.send(connect('a', fields), subscribe(1, { x: 0x05 }, ''), publish('x', { qos: 1, properties: '' }));
    expect((await client.take(3)).slice(1)).toEqual(['9004000100' + '01', ack(0x40, 1)]);
    const other = await server.rawConnected('b');
    other.send(publish('x', { qos: 1, payload: 'other' }));
    const [delivered] = await client.take(1);
    expect(delivered).toContain(Buffer.from('other').toString('hex'));
  });

  it('a session gets one copy of a message that several of its filters match, at the highest QoS of these', async () => {
    await start();
    const client = await server.rawConnected('a', { clean: false });
    client.send(subscribe(1, { 'x/#': 1, 'x/+': 2, 'x/y': 0 }));
    await client.take(1);
    client.send(disconnect);
    await client.closed;
    const other = await server.rawConnected('b');
    other.send(publish('x/y', { qos: 2, payload: 'once' }));
    await other.take(1);
    const again = await server.rawConnected('a', { clean: false });
    const [delivered] = await again.take(1);
    const id = Number.parseInt(delivered!.slice(14, 18), 16);
    expect(delivered).toBe(publish('x/y', { qos: 2, id, payload: 'once' }).toString('hex'));
    again.send(pubrec(id));
    expect(await again.take(1)).toEqual([pubrel(id).toString('hex')]);
    again.send(pubcomp(id), publish('end', { qos: 1 }));
    expect(await again.take(1)).toEqual([ack(0x40, 1)]);
    expect(server.server.counters()).toMatchObject({ delivered: 1 });
  });

  it('a QoS 2 message that was received but not completed is released again on the next connection', async () => {
    await start();
    const client = await server.rawConnected('a', { clean: false });
    client.send(subscribe(1, { x: 2 }));
    await client.take(1);
    const other = await server.rawConnected('b');
    other.send(publish('x', { qos: 2 }));
    const id = Number.parseInt((await client.take(1))[0]!.slice(10, 14), 16);
    client.send(pubrec(id));
    expect(await client.take(1)).toEqual([pubrel(id).toString('hex')]);
    client.kill();
    const again = await server.rawConnected('a', { clean: false });
    expect(await again.take(1)).toEqual([pubrel(id).toString('hex')]);
  });

  it('shared subscriptions are refused in words of each version, not granted and forgotten', async () => {
    await start();
    const three = await server.rawConnected('a');
    three.send(subscribe(1, { '$share/g/x': 1, y: 1 }));
    expect(await three.take(1)).toEqual(['900400018001']);
    const five = await server.rawConnected('b', { version: 5 });
    five.send(subscribe(1, { '$share/g/x': 1 }, ''));
    expect(await five.take(1)).toEqual(['9004000100' + '9e']);
  });

  it('messages for nobody are acknowledged and not handed to Aedes', async () => {
    await start();
    const client = await server.rawConnected('a');
    client.send(publish('nobody/listens', { qos: 1 }), publish('nobody/listens', { qos: 2, id: 2 }));
    expect(await client.take(2)).toEqual([ack(0x40, 1), ack(0x50, 2)]);
    client.send(subscribe(3, { 'nobody/+': 0 }), publish('nobody/listens', { qos: 1, id: 4 }));
    expect((await client.take(3)).map((hex) => hex.slice(0, 2)).sort()).toEqual(['30', '40', '90']);
  });
});
