import { afterEach, describe, expect, it } from 'vitest';
import { PubSubError } from '../../src/domain/errors.ts';
import { Disk } from './support/disk.ts';
import {
  ack,
  connect,
  disconnect,
  type PublishFields,
  pingreq,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  resumed,
  subscribe,
} from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import { Seeded } from './support/seeded.ts';
import { TestServer, type TestServerOptions } from './support/test-server.ts';

const kept = { clean: false } as const;
const keptFive = { version: 5, clean: false, properties: '11 00000e10' } as const;

describe('mqtt delivery', () => {
  let disk: Disk;
  let server: TestServer;
  afterEach(async () => {
    await server.stop();
    await disk.remove();
  });

  async function start(options: TestServerOptions = {}): Promise<void> {
    disk = await Disk.open();
    server = await TestServer.start({ disk, ...options });
  }

  /** The next server finds what was on disk, and nothing else. */
  async function killAndRestart(options: TestServerOptions = {}): Promise<void> {
    const killed = server;
    await disk.kill();
    server = await TestServer.start({ disk, ...options });
    await killed.stop();
  }

  /** A session that listens to `q/#` and has no connection. */
  async function offline(qos: 1 | 2, fields: Parameters<typeof connect>[1] = kept): Promise<void> {
    const client = await server.rawConnected('a', fields);
    client.send(subscribe(1, { 'q/#': qos }, fields.version === 5 ? '' : undefined), disconnect);
    await client.closed;
  }

  async function publishMany(count: number, fields: PublishFields = { qos: 1 }): Promise<void> {
    const client = await server.rawConnected('publisher');
    const window = 30;
    for (let from = 1; from <= count; from += window) {
      const ids = Array.from({ length: Math.min(window, count + 1 - from) }, (_, n) => from + n);
      client.send(...ids.map((id) => publish('q/x', { ...fields, id, payload: String(id) })));
      await client.take(ids.length);
    }
    client.send(disconnect);
    await client.closed;
  }

  it('I1 - the publisher has its acknowledgement only when the message is in the queue of every kept session', async () => {
    await start();
    await offline(1);
    const held: (() => void)[] = [];
    disk.beforeWrite = () => new Promise<void>((resolve) => held.push(resolve));
    const client = await server.raw();
    const witness = await server.raw();
    client.send(connect('p'));
    witness.send(connect('w'));
    while (held.length < 2) await new Promise(setImmediate);
    for (const write of held.splice(0)) write();
    await Promise.all([client.take(1), witness.take(1)]);
    client.send(
      publish('q/x', { qos: 1, id: 1 }),
      publish('q/y', { qos: 2, id: 2 }),
      publish('devices/p/x', { qos: 1, id: 3 }),
    );
    while (held.length < 2) await new Promise(setImmediate);
    witness.send(pingreq);
    await witness.take(1);
    expect(client.arrived).toBe(0);
    for (const write of held.splice(0)) write();
    expect(await client.take(3)).toEqual([ack(0x40, 1), ack(0x50, 2), ack(0x40, 3)]);
    disk.beforeWrite = async () => {};
    await killAndRestart();
    const again = await server.rawConnected('a', kept);
    expect((await again.take(2)).map((hex) => hex.slice(0, 2))).toEqual(['32', '32']);
  });

  it('I1 - a message whose queue cannot be written is not acknowledged, and can be sent again', async () => {
    await start({ limits: { storeDeadlineMs: 100 } });
    await offline(1);
    const client = await server.rawConnected('p', keptFive);
    disk.beforeWrite = () => Promise.reject(new PubSubError('UNAVAILABLE', 'The disk is full.'));
    client.send(publish('q/x', { qos: 2, id: 1, properties: '' }), publish('q/y', { qos: 1, id: 2, properties: '' }));
    const [last] = await client.rest();
    expect([last![0], last![2]]).toEqual([0xe0, 0x97]);
    disk.beforeWrite = async () => {};
    const again = await server.rawConnected('p', keptFive);
    again.send(publish('q/x', { qos: 2, id: 1, dup: true, properties: '' }));
    expect(await again.take(1)).toEqual([ack(0x50, 1)]);
    const subscriber = await server.rawConnected('a', kept);
    expect(await subscriber.take(1)).toEqual([publish('q/x', { qos: 1, id: 1 }).toString('hex')]);
  });

  it('everything that was queued is delivered on reconnect, in order, however much it is', async () => {
    await start();
    await offline(1);
    await publishMany(2500);
    const client = await server.rawConnected('a', kept);
    for (let id = 1; id <= 2500; id++) {
      expect((await client.next())!.toString('hex')).toBe(
        publish('q/x', { qos: 1, id, payload: String(id) }).toString('hex'),
      );
      client.send(puback(id));
    }
    client.send(disconnect);
    await client.closed;
    const again = await server.rawConnected('a', kept);
    again.send(pingreq);
    expect(await again.take(1)).toEqual(['d000']);
  });

  it('MQTT-3.3.4-9: no more unacknowledged messages than the Receive Maximum, in whatever order they are acknowledged', async () => {
    await start();
    await offline(2, keptFive);
    await publishMany(200, { qos: 2 });
    const client = await server.rawConnected('a', { ...keptFive, properties: `${keptFive.properties} 21 0005` });
    const random = new Seeded();
    const open: number[] = [];
    for (let seen = 0; seen < 200 || open.length > 0; ) {
      while (seen < 200 && open.length < 5) {
        const message = (await client.next())!;
        expect(message[0]! & 0x36, `seed ${random.seed}`).toBe(0x34);
        open.push(message.readUInt16BE(7));
        seen++;
      }
      client.send(pingreq);
      expect(await client.take(1), `seed ${random.seed}`).toEqual(['d000']); // nothing more comes
      const id = random.pick(open);
      client.send(pubrec(id));
      expect(await client.take(1)).toEqual([pubrel(id).toString('hex')]);
      client.send(pubcomp(id));
    }
  });

  it('MQTT-4.4.0-1: what was not acknowledged comes again with its packet id and DUP, what was never sent without', async () => {
    await start({ limits: { outgoingMax: 2 } });
    await offline(1);
    await publishMany(3);
    const message = (id: number, dup: boolean) =>
      publish('q/x', { qos: 1, id, dup, payload: String(id) }).toString('hex');
    const client = await server.rawConnected('a', kept);
    expect(await client.take(2)).toEqual([message(1, false), message(2, false)]);
    client.kill();
    const again = await server.raw();
    again.send(connect('a', kept));
    expect(await again.take(3)).toEqual([resumed, message(1, true), message(2, true)]);
    again.send(puback(2));
    expect(await again.take(1)).toEqual([message(3, false)]);
    await killAndRestart({ limits: { outgoingMax: 2 } });
    const third = await server.rawConnected('a', kept);
    expect(await third.take(2)).toEqual([message(1, true), message(3, true)]);
  });

  it('QoS 2 reaches a subscriber exactly once across broken connections and killed servers', async () => {
    await start();
    await offline(2);
    const total = 300;
    await publishMany(total, { qos: 2 });
    const random = new Seeded();
    const received: string[] = [];
    const unreleased = new Map<number, string>(); // as a client keeps them
    for (let connections = 0; received.length < total; connections++) {
      if (connections % 5 === 4) await killAndRestart();
      const client = await server.rawConnected('a', kept);
      await receive(client, received, unreleased, connections < 40 ? random.below(80) : total * 4);
      client.kill();
    }
    expect(received, `seed ${random.seed}`).toEqual(Array.from({ length: total }, (_, n) => String(n + 1)));
  });

  /** Behaves as MQTT5 §4.3.3 wants it of a receiver, for `packets` packets. */
  async function receive(client: RawClient, received: string[], unreleased: Map<number, string>, packets: number) {
    for (let n = 0; n < packets && received.length < 300; n++) {
      const packet = (await client.next())!;
      if (packet[0] === 0x62) {
        unreleased.delete(packet.readUInt16BE(2));
        client.send(pubcomp(packet.readUInt16BE(2)));
        continue;
      }
      const id = packet.readUInt16BE(7);
      if (!unreleased.has(id)) received.push(packet.toString('utf8', 9));
      unreleased.set(id, '');
      client.send(pubrec(id));
    }
  }

  it('I10 - queues and retained messages outlive a killed server', async () => {
    await start();
    await offline(1);
    await publishMany(50);
    const client = await server.rawConnected('p');
    client.send(publish('r/1', { qos: 1, id: 1, retain: true, payload: 'kept' }));
    client.send(
      publish('r/2', { qos: 1, id: 2, retain: true }),
      publish('r/2', { qos: 1, id: 3, retain: true, payload: '' }),
    );
    await client.take(3);
    await killAndRestart();
    const subscriber = await server.rawConnected('a', kept);
    const texts = (await subscriber.take(50)).map((hex) => Buffer.from(hex, 'hex').toString('utf8', 9));
    expect(texts).toEqual(Array.from({ length: 50 }, (_, n) => String(n + 1)));
    subscriber.send(subscribe(2, { 'r/#': 0 }), pingreq);
    expect((await subscriber.take(3)).sort()).toEqual(
      ['9003000200', publish('r/1', { retain: true, payload: 'kept' }).toString('hex'), 'd000'].sort(),
    );
  });

  it('MQTT-3.1.2-25: a message larger than the client takes is left out, and the next one comes', async () => {
    await start();
    await offline(1, keptFive);
    const client = await server.rawConnected('p');
    client.send(
      publish('q/x', { qos: 1, payload: Buffer.alloc(200) }),
      publish('q/x', { qos: 1, id: 2, payload: 'small' }),
    );
    await client.take(2);
    const subscriber = await server.rawConnected('a', {
      ...keptFive,
      properties: `${keptFive.properties} 27 00000064`,
    });
    const [only] = await subscriber.take(1);
    expect(only).toContain(Buffer.from('small').toString('hex'));
    subscriber.send(subscribe(2, { 'q/#': 0 }, ''));
    await subscriber.take(1);
    client.send(publish('q/x', { payload: Buffer.alloc(200) }), publish('q/x', { payload: 'small' }));
    expect((await subscriber.take(1))[0]).toContain(Buffer.from('small').toString('hex'));
    expect(server.server.counters().dropped.outbound_too_large).toBe(2);
  });

  it('MQTT-3.3.2-5, -6: a message that has expired is not delivered, and another says how long it has left', async () => {
    let nowMs = 1_000_000;
    await start({ clock: () => nowMs });
    await offline(1, keptFive);
    const client = await server.rawConnected('p', { version: 5 });
    client.send(publish('q/x', { qos: 1, id: 1, properties: '02 0000000a', payload: 'short' }));
    client.send(publish('q/x', { qos: 1, id: 2, properties: '02 0000003c', payload: 'long' }));
    await client.take(2);
    nowMs += 20_000;
    const subscriber = await server.rawConnected('a', keptFive);
    expect(await subscriber.take(1)).toEqual([
      publish('q/x', { qos: 1, id: 2, properties: '02 00000028', payload: 'long' }).toString('hex'),
    ]);
  });

  it('MQTT-3.3.4-4: one copy carries the identifiers of all filters that match', async () => {
    await start();
    const subscriber = await server.rawConnected('a', { version: 5 });
    subscriber.send(
      subscribe(1, { 'q/#': 1 }, '0b 07'),
      subscribe(2, { 'q/+': 0 }, '0b 08'),
      subscribe(3, { other: 1 }, '0b 09'),
    );
    await subscriber.take(3);
    const client = await server.rawConnected('p');
    client.send(publish('q/x', { qos: 1 }), publish('q/x'));
    const seen = await subscriber.take(2);
    expect(seen).toContain(publish('q/x', { qos: 1, id: 1, properties: '0b 07 0b 08' }).toString('hex'));
    expect(seen).toContain(publish('q/x', { properties: '0b 07 0b 08' }).toString('hex'));
  });

  it('retained messages come once per Retain Handling, with the retain flag and the identifier', async () => {
    await start();
    const client = await server.rawConnected('p');
    client.send(publish('r', { qos: 1, retain: true, payload: 'v' }));
    await client.take(1);
    const subscriber = await server.rawConnected('a', { version: 5 });
    const retained = (id: number, identifier: string) =>
      publish('r', { qos: 1, id, retain: true, payload: 'v', properties: `0b ${identifier}` }).toString('hex');
    subscriber.send(subscribe(1, { r: 0x11 }, '0b 07'));
    expect(await subscriber.take(2)).toEqual(['90040001' + '0001', retained(1, '07')]);
    subscriber.send(
      subscribe(2, { r: 0x11 }, '0b 07'),
      subscribe(3, { r: 0x21 }, '0b 07'),
      subscribe(4, { r: 0x01 }, '0b 08'),
    );
    expect((await subscriber.take(4)).slice(3)).toEqual([retained(2, '08')]);
  });

  it('more retained messages than a client may have waiting all come, at QoS 0 and 1', async () => {
    await start({ limits: { outboundBytesMax: 300_000 } });
    const client = await server.rawConnected('p');
    const payload = Buffer.alloc(10_000);
    for (let id = 1; id <= 100; id++) {
      client.send(publish(`r/${id}`, { qos: 1, id, retain: true, payload }));
      await client.take(1);
    }
    for (const qos of [0, 1]) {
      const subscriber = await server.rawConnected(`s${qos}`);
      subscriber.send(subscribe(1, { 'r/#': qos }));
      await subscriber.take(1);
      const topics = new Set<string>();
      while (topics.size < 100) {
        const message = (await subscriber.next())!;
        const length = message.readUInt16BE(3);
        topics.add(message.toString('utf8', 5, 5 + length));
        if (qos === 1) subscriber.send(puback(message.readUInt16BE(5 + length)));
      }
    }
    expect(server.server.counters().dropped.outbound_qos0).toBe(0);
  });

  it('I8 - a subscriber that acknowledges nothing is not flooded with retained messages, nor disconnected', async () => {
    await start({ limits: { outboundBytesMax: 300_000, outgoingMax: 2 } });
    const client = await server.rawConnected('p');
    for (let id = 1; id <= 50; id++) {
      client.send(publish(`r/${id}`, { qos: 1, id, retain: true, payload: Buffer.alloc(10_000) }));
      await client.take(1);
    }
    const subscriber = await server.rawConnected('s');
    subscriber.send(subscribe(1, { 'r/#': 1 }), pingreq);
    await subscriber.take(4); // SUBACK, PINGRESP, two messages
    for (let id = 1; id <= 48; id++) {
      subscriber.send(puback(id));
      await subscriber.take(1);
    }
    expect(server.server.counters().closed.outbound_overflow).toBe(0);
  });
});
