import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultRoutes } from '../../src/bridge/default-routes.ts';
import { defaultMqttLimits } from '../../src/mqtt/limits.ts';
import { type MqttServer, openMqttServer } from '../../src/mqtt/mqtt-server.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type BridgeUnderTest, openBridge } from '../bridge/bridge-under-test.ts';
import { ack, connect, publish, pubrel, resumed, subscribe } from './support/packets.ts';
import { RawClient } from './support/raw-client.ts';

describe('mqtt on the real store', () => {
  let bridge: BridgeUnderTest;
  let server: MqttServer;
  let port: number;
  const clients: RawClient[] = [];

  beforeEach(async () => {
    bridge = await openBridge(defaultRoutes, ['telemetry', 'device-state']);
    await start();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await server.close(1000);
    await bridge.remove();
  });

  async function start(): Promise<void> {
    const state = bridge.store.mqttState(defaultMqttLimits);
    server = await openMqttServer({ uplink: bridge.uplink, state, logger: createLogger('silent'), clock: Date.now });
    port = (await server.listenTcp({ host: '127.0.0.1', port: 0 })).port;
  }

  /** The next server finds what was on disk, and nothing else. */
  async function restart(): Promise<void> {
    await server.close(0);
    await bridge.restart();
    await start();
  }

  async function client(...fields: Parameters<typeof connect>): Promise<RawClient> {
    const opened = await RawClient.open(port);
    clients.push(opened);
    opened.send(connect(...fields));
    return opened;
  }

  it('I1 I7 - what is acknowledged is in the log, in order', async () => {
    const device = await client('a');
    const texts = Array.from({ length: 500 }, (_, n) => String(n));
    for (const [n, payload] of texts.entries()) {
      device.send(publish('devices/a/events', { qos: n % 3 === 0 ? 2 : 1, id: n + 1, payload }));
    }
    const acks = texts.map((_, n) => ack(n % 3 === 0 ? 0x50 : 0x40, n + 1));
    expect((await device.take(501)).slice(1)).toEqual(acks);
    expect(await bridge.texts('telemetry')).toEqual(texts);
  });

  it('I6 I10 - QoS 2 is stored once across restarts, and its packet id can be used anew after its release', async () => {
    const kept = { clean: false };
    const first = await client('a', kept);
    first.send(publish('devices/a/events', { qos: 2, id: 7, payload: 'once' }));
    expect((await first.take(2))[1]).toBe(ack(0x50, 7));
    await restart();
    const second = await client('a', kept);
    second.send(publish('devices/a/events', { qos: 2, id: 7, dup: true, payload: 'once' }));
    expect(await second.take(2)).toEqual([resumed, ack(0x50, 7)]);
    await restart();
    const third = await client('a', kept);
    third.send(pubrel(7));
    expect(await third.take(2)).toEqual([resumed, ack(0x70, 7)]);
    third.send(publish('devices/a/events', { qos: 2, id: 7, payload: 'again' }));
    expect(await third.take(1)).toEqual([ack(0x50, 7)]);
    expect(await bridge.texts('telemetry')).toEqual(['once', 'again']);
  });

  it('I10 - sessions and their subscriptions are there after a restart', async () => {
    const filters = { 'devices/+/state': 1, '/übung/#': 2 };
    const first = await client('a', { clean: false });
    first.send(subscribe(1, filters));
    expect((await first.take(2))[1]).toBe('900400010102');
    await restart();
    const again = await client('a', { clean: false });
    expect(await again.take(1)).toEqual([resumed]);
    const other = await client('b');
    other.send(publish('devices/b/state', { qos: 1, payload: 'on' }), publish('/übung/1', { qos: 2, payload: 'zwei' }));
    const delivered = (await again.take(2)).map((hex) => Buffer.from(hex, 'hex').toString());
    expect(delivered.map((text) => /on$|zwei$/.exec(text)![0]).sort()).toEqual(['on', 'zwei']);
    expect(await bridge.texts('device-state')).toEqual(['on']);
  });
});
