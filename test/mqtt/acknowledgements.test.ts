import { afterEach, describe, expect, it } from 'vitest';
import { PubSubError } from '../../src/domain/errors.ts';
import { ack, connect, packet, pingreq, publish, pubrel, subscribe, text, u16 } from './support/packets.ts';
import type { Accepted } from './support/recording-uplink.ts';
import { Seeded } from './support/seeded.ts';
import { TestServer, type TestServerOptions } from './support/test-server.ts';

const unavailable = () => new PubSubError('UNAVAILABLE', 'The store is not there.');
const invalid = () => new PubSubError('INVALID_ARGUMENT', 'The capture is not allowed.');

describe('mqtt acknowledgements', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  async function start(options: TestServerOptions = {}): Promise<TestServer> {
    server = await TestServer.start(options);
    return server;
  }

  /** Accepts and stores nothing until told to. */
  function hold(): Accepted[] {
    const held: Accepted[] = [];
    server.uplink.decide = (accepted) => held.push(accepted);
    return held;
  }

  /** Another client is served from end to end: whatever the server was about to do by itself, it has done. */
  async function settle(): Promise<void> {
    const witness = await server.rawConnected('witness');
    for (let round = 0; round < 3; round++) {
      witness.send(pingreq);
      await witness.take(1);
    }
    witness.socket.destroy();
    await witness.closed;
  }

  it('I1 I7 - leave in the order of arrival and never before their message is stored, whatever order the store has', async () => {
    await start();
    const random = new Seeded();
    const held = hold();
    const total = 1500;
    const client = await server.rawConnected('a');
    const storing = setInterval(() => {
      for (let n = random.below(8); n > 0 && held.length > 0; n--) random.pick(held).store();
    });
    const sent: string[] = [];
    for (let id = 1; id <= total; id++) {
      const qos = random.chance(30) ? 2 : 1;
      const topic = random.chance(80) ? 'devices/a/events' : 'local/a';
      client.send(publish(topic, { qos, id, payload: String(id) }));
      sent.push(ack(qos === 2 ? 0x50 : 0x40, id));
    }
    const acks: string[] = [];
    const released: string[] = [];
    const completed: string[] = [];
    while (acks.length < total || completed.length < released.length) {
      const [answer] = await client.take(1);
      const id = Number.parseInt(answer!.slice(4), 16);
      if (answer!.startsWith('70')) completed.push(answer!);
      else acks.push(answer!);
      const stored = server.uplink.texts().includes(String(id));
      expect(stored || !server.uplink.accepted.some(({ text }) => text === String(id)), `seed ${random.seed}`).toBe(
        true,
      );
      if (!answer!.startsWith('50')) continue;
      released.push(ack(0x70, id));
      client.send(pubrel(id));
    }
    clearInterval(storing);
    expect(acks, `seed ${random.seed}`).toEqual(sent);
    expect(completed, `seed ${random.seed}`).toEqual(released);
    const order = server.uplink.accepted.map(({ text }) => Number(text));
    expect(order, `seed ${random.seed}`).toEqual([...order].sort((a, b) => a - b));
  });

  it('I8 - a store that hangs sees no more than the window, and reading goes on when there is room', async () => {
    await start({ limits: { inflightMax: 32 } });
    const held = hold();
    const client = await server.rawConnected('a');
    for (let id = 1; id <= 100; id++) client.send(publish('devices/a/events', { qos: 1, id }));
    await server.uplink.acceptedCount(32);
    await settle();
    expect(server.uplink.accepted).toHaveLength(32);
    held.shift()!.store();
    expect(await client.take(1)).toEqual([ack(0x40, 1)]);
    await server.uplink.acceptedCount(33);
    await settle();
    expect(server.uplink.accepted).toHaveLength(33);
    server.uplink.decide = ({ store }) => store();
    for (const { store } of held.splice(0)) store();
    expect(await client.take(99)).toEqual(Array.from({ length: 99 }, (_, n) => ack(0x40, n + 2)));
  });

  it('I8 - the window is bounded in bytes too', async () => {
    await start({ limits: { inflightBytesMax: 100_000 } });
    hold();
    const client = await server.rawConnected('a');
    const payload = Buffer.alloc(40_000);
    for (let id = 1; id <= 10; id++) client.send(publish('devices/a/events', { qos: 1, id, payload }));
    await server.uplink.acceptedCount(3);
    await settle();
    expect(server.uplink.accepted).toHaveLength(3);
    expect(server.server.counters().readPauses).toBeGreaterThan(0);
  });

  it('I8 - when all connections together hold too much, each may have one publish in flight, and all go on later', async () => {
    await start({ limits: { inflightTotalBytesMax: 50_000 } });
    const held = hold();
    const payload = Buffer.alloc(60_000);
    const ids = ['a', 'b', 'c'];
    const clients = await Promise.all(ids.map((id) => server.rawConnected(id)));
    for (const client of clients) {
      for (const id of [1, 2]) client.send(publish('devices/a/events', { qos: 1, id, payload }));
    }
    await server.uplink.acceptedCount(3);
    await settle();
    expect(held.map(({ clientId }) => clientId).sort()).toEqual(ids);
    server.uplink.decide = ({ store }) => store();
    for (const { store } of held.splice(0)) store();
    for (const client of clients) expect(await client.take(2)).toEqual([ack(0x40, 1), ack(0x40, 2)]);
    expect(server.server.counters().inflightBytes).toBe(0);
  });

  it('leave in one write when they become due in one turn', async () => {
    await start();
    const held = hold();
    const client = await server.rawConnected('a');
    const chunks: number[] = [];
    client.socket.on('data', ({ length }: Buffer) => chunks.push(length));
    client.send(...Array.from({ length: 20 }, (_, n) => publish('devices/a/events', { qos: 1, id: n + 1 })));
    await server.uplink.acceptedCount(20);
    for (const { store } of held) store();
    await client.take(20);
    expect(chunks).toEqual([80]);
  });

  it.each([
    [4, []],
    [5, ['e0', 0x97]],
  ] as const)('a store that hangs past the deadline ends the connection (version %i)', async (version, last) => {
    await start({ limits: { storeDeadlineMs: 100 } });
    hold();
    const client = await server.rawConnected('a', { version });
    const properties = version === 5 ? { properties: '' } : {};
    client.send(publish('devices/a/events', { qos: 1, ...properties }));
    const rest = await client.rest();
    expect(rest.flatMap((packet) => [packet.toString('hex', 0, 1), packet[2]])).toEqual(last);
    expect(server.server.counters().closed.store_deadline).toBe(1);
    server.uplink.decide = ({ store }) => store();
    const again = await server.rawConnected('a', { version });
    again.send(publish('devices/a/events', { qos: 1, dup: true, ...properties }));
    expect(await again.take(1)).toEqual([ack(0x40, 1)]);
  });

  it('I1 - a message that the store did not take is not acknowledged, nor anything after it', async () => {
    await start({ limits: { storeDeadlineMs: 200 } });
    server.uplink.decide = ({ text, store, fail }) => (text === '2' ? fail(unavailable()) : store());
    const client = await server.rawConnected('a', { version: 5 });
    for (const id of [1, 2, 3])
      client.send(publish('devices/a/events', { qos: 1, id, payload: String(id), properties: '' }));
    const [first, last, ...more] = await client.rest();
    expect(first!.toString('hex')).toBe(ack(0x40, 1));
    expect([last![0], last![2]]).toEqual([0xe0, 0x97]);
    expect(more).toEqual([]);
    const { closed, pubacks } = server.server.counters();
    expect([closed.store_unavailable, pubacks]).toEqual([1, 1]);
  });

  it('a message that can never be stored gets a negative acknowledgement in its turn, and the connection goes on', async () => {
    await start();
    server.uplink.decide = ({ text, store, fail }) => (text === 'bad' ? fail(invalid()) : store());
    const client = await server.rawConnected('a', { version: 5 });
    const send = (id: number, qos: 1 | 2, payload: string) =>
      client.send(publish('devices/a/events', { qos, id, payload, properties: '' }));
    send(1, 1, 'ok');
    send(2, 1, 'bad');
    send(3, 2, 'bad');
    const reason = Buffer.from(`1f001b${Buffer.from(invalid().message).toString('hex')}`, 'hex');
    const refused = (header: string, id: string) => `${header}22${id}831e${reason.toString('hex')}`;
    expect(await client.take(3)).toEqual([ack(0x40, 1), refused('40', '0002'), refused('50', '0003')]);
    send(3, 2, 'ok'); // a refused id is free again: MQTT5 §4.3.3
    expect(await client.take(1)).toEqual([ack(0x50, 3)]);
    expect(server.server.counters().negativeAcks).toBe(2);
    expect(server.uplink.texts()).toEqual(['ok', 'ok']);
  });

  it.each([
    ['Request Problem Information is 0', '17 00'],
    ['it does not fit into the Maximum Packet Size', '27 00000014'],
  ])('a negative acknowledgement comes without a reason string when %s', async (_why, properties) => {
    await start();
    server.uplink.decide = ({ fail }) => fail(invalid());
    const client = await server.rawConnected('a', { version: 5, properties });
    client.send(publish('devices/a/events', { qos: 1, properties: '' }));
    expect(await client.take(1)).toEqual(['4003000183']);
  });

  it('before MQTT 5 a message that can never be stored closes the connection, and is never acknowledged', async () => {
    await start();
    server.uplink.decide = ({ text, store, fail }) => (text === 'bad' ? fail(invalid()) : store());
    const client = await server.rawConnected('a');
    client.send(
      publish('devices/a/events', { qos: 1, id: 1 }),
      publish('devices/a/events', { qos: 1, id: 2, payload: 'bad' }),
    );
    expect((await client.rest()).map((packet) => packet.toString('hex'))).toEqual([ack(0x40, 1)]);
    expect(server.server.counters().closed.publish_refused).toBe(1);
  });

  it('QoS 0 that can never be stored is dropped and counted, and the connection goes on', async () => {
    await start();
    server.uplink.decide = ({ fail }) => fail(invalid());
    const client = await server.rawConnected('a');
    client.send(publish('devices/a/events'), pingreq);
    expect(await client.take(1)).toEqual(['d000']);
    await settle();
    expect(server.server.counters().dropped.qos0_not_stored).toBe(1);
  });

  it('an uplink that throws at once ends one connection and no more', async () => {
    await start({ limits: { storeDeadlineMs: 100 } });
    server.uplink.decide = ({ text, store }) => {
      if (text === 'bug') throw new Error('a bug');
      store();
    };
    const witness = await server.rawConnected('witness');
    const client = await server.rawConnected('a');
    client.send(publish('devices/a/events', { qos: 1, payload: 'bug' }));
    await client.closed;
    witness.send(publish('devices/w/events', { qos: 1 }));
    expect(await witness.take(1)).toEqual([ack(0x40, 1)]);
  });

  it('I8 - QoS 0 past its buffer is dropped and counted by reason; what no route takes is not', async () => {
    await start({ limits: { qos0BytesMax: 1000 } });
    const held = hold();
    const client = await server.rawConnected('a');
    const listener = await server.rawConnected('b');
    listener.send(subscribe(1, { '#': 0 }));
    await listener.take(1);
    for (let n = 0; n < 10; n++) client.send(publish('devices/a/events', { payload: String(n) }), publish('local'));
    expect((await listener.take(20)).filter((packet) => packet.includes('6c6f63616c'))).toHaveLength(10);
    expect(held.map(({ text }) => text)).toEqual(['0', '1', '2']);
    expect(server.server.counters().dropped.qos0_buffer_full).toBe(7);
    for (const { store } of held) store();
    await settle();
    expect(server.server.counters().qos0Bytes).toBe(0);
  });

  it('I1 - subscribers get a routed message once it is stored, also when its publisher has gone', async () => {
    await start();
    const held = hold();
    const listener = await server.rawConnected('b');
    listener.send(subscribe(1, { 'devices/#': 1 }));
    await listener.take(1);
    const client = await server.rawConnected('a');
    client.send(publish('devices/a/events', { qos: 1, payload: 'hello' }));
    await server.uplink.acceptedCount(1);
    client.kill();
    await settle();
    expect(listener.arrived).toBe(0);
    held[0]!.store();
    expect((await listener.take(1))[0]).toContain(Buffer.from('hello').toString('hex'));
  });

  it('PUBLISH, SUBSCRIBE and PUBLISH in one chunk take effect in that order', async () => {
    await start();
    const client = await server.raw();
    client.send(
      connect('a'),
      publish('local', { qos: 1, id: 1, payload: 'before' }),
      subscribe(2, { local: 0 }),
      publish('local', { qos: 1, id: 3, payload: 'after' }),
    );
    const packets = await client.take(5);
    expect(packets.slice(0, 3)).toEqual(['20020000', ack(0x40, 1), '9003000200']);
    expect(packets.slice(3).sort()).toEqual(['300c00056c6f63616c6166746572', ack(0x40, 3)]);
  });

  it('CONNECT, UNSUBSCRIBE, SUBSCRIBE and UNSUBSCRIBE in one chunk are answered one by one', async () => {
    await start();
    const client = await server.raw();
    const unsubscribe = (id: number) => packet(0xa2, u16(id), text('a'), text('b'));
    client.send(connect('a'), unsubscribe(1), subscribe(2, { a: 0 }), unsubscribe(3), subscribe(4, { b: 1 }), pingreq);
    const answers = ['20020000', 'b0020001', '9003000200', 'b0020003', '9003000401', 'd000'];
    expect(await client.take(6)).toEqual(answers);
  });

  it('messages of many topics, of the same length too, keep their topics', async () => {
    await start();
    const client = await server.rawConnected('a');
    const topics = Array.from({ length: 300 }, (_, n) => `devices/a/${n % 100}`);
    for (const [index, topic] of topics.entries()) client.send(publish(topic, { qos: 1, id: index + 1 }));
    await client.take(300);
    expect(server.uplink.accepted.map(({ topic }) => topic)).toEqual(topics);
  });
});
