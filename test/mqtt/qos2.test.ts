import { afterEach, describe, expect, it } from 'vitest';
import { PubSubError } from '../../src/domain/errors.ts';
import { Disk } from './support/disk.ts';
import { ack, packet, publish, pubrel, subscribe, u16 } from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import type { Accepted } from './support/recording-uplink.ts';
import { Seeded } from './support/seeded.ts';
import { TestServer } from './support/test-server.ts';

const topic = 'devices/a/events';
const pubrecOf = (id: number) => ack(0x50, id);
const pubcompOf = (id: number) => ack(0x70, id);
const expiry = '11 00000e10'; // one hour

describe('mqtt QoS 2', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  it('I6 - a repeated PUBLISH is acknowledged again, and neither stored nor delivered again', async () => {
    server = await TestServer.start();
    const listener = await server.rawConnected('b');
    listener.send(subscribe(1, { '#': 0 }));
    await listener.take(1);
    const client = await server.rawConnected('a');
    for (const dup of [false, true, false]) {
      client.send(publish(topic, { qos: 2, id: 7, dup, payload: 'once' }), publish('local', { qos: 2, id: 8, dup }));
      expect(await client.take(2)).toEqual([pubrecOf(7), pubrecOf(8)]);
    }
    client.send(pubrel(7), pubrel(8));
    expect(await client.take(2)).toEqual([pubcompOf(7), pubcompOf(8)]);
    client.send(publish(topic, { qos: 2, id: 7, payload: 'again' }));
    expect(await client.take(1)).toEqual([pubrecOf(7)]);
    expect(server.uplink.texts()).toEqual(['once', 'again']);
    const delivered = (await listener.take(3)).map((hex) => Buffer.from(hex, 'hex').toString('latin1', 4));
    expect(delivered.sort()).toEqual([`${topic}again`, `${topic}once`, 'localx'].sort());
    expect(server.server.counters().duplicates).toBe(4);
  });

  it('I6 - a repetition that comes while the first is on its way to the store waits for it', async () => {
    server = await TestServer.start();
    const held: Accepted[] = [];
    server.uplink.decide = (accepted) => held.push(accepted);
    const client = await server.rawConnected('a');
    client.send(publish(topic, { qos: 2, id: 7 }), publish(topic, { qos: 2, id: 7, dup: true }));
    client.send(publish('local', { qos: 1, id: 8 }));
    await server.uplink.acceptedCount(1);
    expect(client.arrived).toBe(0);
    held[0]!.store();
    expect(await client.take(3)).toEqual([pubrecOf(7), pubrecOf(7), ack(0x40, 8)]);
    expect(server.uplink.accepted).toHaveLength(1);
  });

  it('I6 - a repetition on a new connection waits for the first one on the old connection', async () => {
    server = await TestServer.start();
    const held: Accepted[] = [];
    server.uplink.decide = (accepted) => held.push(accepted);
    const first = await server.rawConnected('a', { clean: false });
    first.send(publish(topic, { qos: 2, id: 7 }));
    await server.uplink.acceptedCount(1);
    first.kill();
    const second = await server.rawConnected('a', { clean: false });
    second.send(publish(topic, { qos: 2, id: 7, dup: true }), publish(topic, { qos: 1, id: 8 }));
    await server.uplink.acceptedCount(2);
    expect(second.arrived).toBe(0);
    for (const { store } of held) store();
    expect(await second.take(2)).toEqual([pubrecOf(7), ack(0x40, 8)]);
    expect(server.uplink.stored.map(({ publish: { qos } }) => qos)).toEqual([2, 1]);
  });

  it('I6 - is stored once across any number of broken connections', async () => {
    server = await TestServer.start();
    const random = new Seeded();
    const held: Accepted[] = [];
    server.uplink.decide = (accepted) => held.push(accepted);
    const storing = setInterval(() => {
      for (let n = random.below(6); n > 0 && held.length > 0; n--) random.pick(held).store();
    });
    const total = 300;
    const state = new Map(Array.from({ length: total }, (_, n) => [n + 1, 'publish' as 'publish' | 'release']));
    for (let connections = 0; state.size > 0; connections++) {
      const client = await server.rawConnected('a', { clean: false });
      await work(client, state, connections < 40 ? random.below(60) : total * 2);
      client.kill();
      await client.closed;
    }
    clearInterval(storing);
    const texts = server.uplink.texts();
    expect(texts.length, `seed ${random.seed}`).toBe(total);
    expect(new Set(texts).size, `seed ${random.seed}`).toBe(total);
    expect(server.uplink.released.length, `seed ${random.seed}`).toBeGreaterThanOrEqual(total);
  });

  /** Sends what is not done, as a client does after it has connected again, and stops after `answers` answers. */
  async function work(client: RawClient, state: Map<number, 'publish' | 'release'>, answers: number): Promise<void> {
    for (const [id, step] of state) {
      client.send(step === 'publish' ? publish(topic, { qos: 2, id, dup: true, payload: String(id) }) : pubrel(id));
    }
    for (let n = 0; n < answers && state.size > 0; n++) {
      const answer = await client.next();
      const id = answer!.readUInt16BE(2);
      if (answer![0] === 0x70) state.delete(id);
      else {
        state.set(id, 'release');
        client.send(pubrel(id));
      }
    }
  }

  it('I6 - is stored once across a restarted server, which releases what it does not remember', async () => {
    const disk = await Disk.open();
    const before = await TestServer.start({ disk });
    const first = await before.rawConnected('a', { clean: false });
    first.send(publish(topic, { qos: 2, id: 7 }), publish(topic, { qos: 2, id: 8 }));
    expect(await first.take(2)).toEqual([pubrecOf(7), pubrecOf(8)]);
    await disk.kill();
    server = await TestServer.start({ disk, uplink: before.uplink });
    const second = await server.rawConnected('a', { clean: false, version: 5, properties: expiry });
    second.send(publish(topic, { qos: 2, id: 7, dup: true, properties: '' }));
    expect(await second.take(1)).toEqual([pubrecOf(7)]);
    second.send(pubrel(7), pubrel(8));
    expect(await second.take(2)).toEqual([pubcompOf(7), pubcompOf(8)]);
    expect(server.uplink.stored).toHaveLength(2);
    const scope = server.uplink.stored[0]!.publish.dedupe!.scope;
    expect(server.uplink.released).toEqual([`${scope}/7`, `${scope}/8`]);
    await before.stop();
    await server.stop();
    await disk.remove();
  });

  it('a clean session has its packet ids to itself: a clean start may use them anew at once', async () => {
    server = await TestServer.start();
    for (const payload of ['one', 'two']) {
      const client = await server.rawConnected('a');
      client.send(publish(topic, { qos: 2, id: 7, payload }));
      expect(await client.take(1)).toEqual([pubrecOf(7)]);
    }
    expect(server.uplink.texts()).toEqual(['one', 'two']);
    expect(server.uplink.stored.some(({ publish: { dedupe } }) => dedupe)).toBe(false);
    expect(server.uplink.released).toEqual([]);
  });

  it('every clean start of a kept session is another scope of packet ids', async () => {
    server = await TestServer.start();
    for (const payload of ['one', 'two']) {
      const client = await server.rawConnected('a', { version: 5, properties: expiry });
      client.send(publish(topic, { qos: 2, id: 7, payload, properties: '' }));
      expect(await client.take(1)).toEqual([pubrecOf(7)]);
    }
    const scopes = server.uplink.stored.map(({ publish: { dedupe } }) => dedupe!.scope);
    expect(server.uplink.texts()).toEqual(['one', 'two']);
    expect(new Set(scopes).size).toBe(2);
  });

  it('I1 - PUBCOMP waits for the release, keeps its place, and does not come when the store fails', async () => {
    server = await TestServer.start({ limits: { storeDeadlineMs: 100 } });
    const client = await server.rawConnected('a', { clean: false });
    client.send(publish(topic, { qos: 2, id: 7 }));
    await client.take(1);
    server.uplink.onRelease = () => Promise.reject(new PubSubError('UNAVAILABLE', 'The store is not there.'));
    client.send(pubrel(7), publish(topic, { qos: 1, id: 8 }));
    expect(await client.rest()).toEqual([]);
    server.uplink.onRelease = async () => {};
    const again = await server.rawConnected('a', { clean: false });
    again.send(pubrel(7));
    expect(await again.take(1)).toEqual([pubcompOf(7)]);
  });

  it('PUBREL of an unknown packet id gets Packet Identifier not found on MQTT 5', async () => {
    server = await TestServer.start();
    const client = await server.rawConnected('a', { version: 5 });
    client.send(pubrel(9));
    expect(await client.take(1)).toEqual(['7003000992']);
  });

  it('PUBREL before its PUBREC is a protocol error', async () => {
    server = await TestServer.start();
    server.uplink.decide = () => {};
    const client = await server.rawConnected('a', { version: 5 });
    client.send(publish(topic, { qos: 2, id: 7, properties: '' }), packet(0x62, u16(7)));
    const [last] = await client.rest();
    expect([last![0], last![2]]).toEqual([0xe0, 0x82]);
  });

  it('all 65,535 packet ids may be unreleased, and none is taken for another', async () => {
    server = await TestServer.start();
    const client = await server.rawConnected('a');
    const batch = 5000;
    for (let from = 1; from <= 65_535; from += batch) {
      const ids = Array.from({ length: Math.min(batch, 65_536 - from) }, (_, n) => from + n);
      client.send(...ids.map((id) => publish(topic, { qos: 2, id })));
      expect(await client.take(ids.length)).toEqual(ids.map(pubrecOf));
    }
    expect(server.uplink.stored).toHaveLength(65_535);
    client.send(pubrel(65_535), publish(topic, { qos: 2, id: 65_534 }));
    expect(await client.take(2)).toEqual([pubcompOf(65_535), pubrecOf(65_534)]);
    expect(server.uplink.stored).toHaveLength(65_535);
  });
});
