import { afterEach, describe, expect, it } from 'vitest';
import { PubSubError } from '../../src/domain/errors.ts';
import { Disk } from './support/disk.ts';
import { connect, disconnect, publish, subscribe } from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import { RecordingUplink } from './support/recording-uplink.ts';
import { TestServer } from './support/test-server.ts';

const topic = 'devices/a/state';
const expiry = (seconds: number) => `11${seconds.toString(16).padStart(8, '0')}`;
const delay = (seconds: number) => `18${seconds.toString(16).padStart(8, '0')}`;
const fields = (seconds: number, delaySeconds: number) => {
  const will = { topic, payload: 'gone', properties: delay(delaySeconds) };
  return { version: 5, clean: false, properties: expiry(seconds), will } as const;
};

describe('mqtt wills', () => {
  let nowMs: number;
  let disk: Disk;
  let server: TestServer;
  let uplink: RecordingUplink;
  afterEach(async () => {
    await server.stop();
    await disk.remove();
  });

  async function start(): Promise<void> {
    nowMs = 1_000_000;
    uplink = new RecordingUplink();
    disk = await Disk.open(() => nowMs);
    server = await TestServer.start({ disk, uplink, clock: () => nowMs });
  }

  async function killAndRestart(): Promise<void> {
    const killed = server;
    await disk.kill();
    server = await TestServer.start({ disk, uplink, clock: () => nowMs });
    await killed.stop();
  }

  async function listener(): Promise<RawClient> {
    const client = await server.rawConnected('listener');
    client.send(subscribe(1, { '#': 0 }));
    await client.take(1);
    return client;
  }

  /** The client's connection has broken, and the state knows. */
  async function vanish(client: RawClient): Promise<void> {
    const { connections } = server.server.counters();
    client.kill();
    while (server.server.counters().connections === connections) await disk.swept();
    await disk.swept();
  }

  const gone = publish(topic, { payload: 'gone' }).toString('hex');

  it('leaves when its delay has passed, once', async () => {
    await start();
    const witness = await listener();
    await vanish(await server.rawConnected('a', fields(60, 10)));
    nowMs += 9_000;
    await disk.swept();
    expect(witness.arrived).toBe(0);
    nowMs += 1_000;
    expect(await witness.take(1)).toEqual([gone]);
    nowMs += 100_000;
    await disk.swept();
    expect([witness.arrived, uplink.texts()]).toEqual([0, ['gone']]);
  });

  it('MQTT-3.1.3-9: stays when the client has resumed its session before', async () => {
    await start();
    const witness = await listener();
    await vanish(await server.rawConnected('a', fields(60, 10)));
    nowMs += 9_000;
    const again = await server.rawConnected('a', { version: 5, clean: false, properties: expiry(60) });
    nowMs += 9_000;
    await disk.swept();
    again.send(disconnect);
    await again.closed;
    nowMs += 100_000;
    await disk.swept();
    expect([witness.arrived, uplink.texts()]).toEqual([0, []]);
  });

  it('MQTT-3.1.3-9: leaves when the session ends before the delay has passed', async () => {
    await start();
    const witness = await listener();
    await vanish(await server.rawConnected('a', fields(5, 10)));
    nowMs += 5_000;
    expect(await witness.take(1)).toEqual([gone]);
    await vanish(await server.rawConnected('a', fields(60, 10)));
    const fresh = await server.rawConnected('a', { version: 5, clean: true }); // ends the session
    expect(await witness.take(1)).toEqual([gone]);
    fresh.send(disconnect);
    await fresh.closed;
    expect(uplink.texts()).toEqual(['gone', 'gone']);
  });

  it('I10 - wills of clients whose server was killed leave after its restart, once; delays count from then', async () => {
    await start();
    await server.rawConnected('a', fields(0, 0));
    await server.rawConnected('b', { ...fields(60, 10), will: { topic, payload: 'later', properties: delay(10) } });
    await killAndRestart();
    await uplink.acceptedCount(1);
    expect(uplink.accepted.map(({ text, clientId }) => [text, clientId])).toEqual([['gone', 'a']]);
    nowMs += 10_000;
    await uplink.acceptedCount(2);
    await disk.swept();
    await killAndRestart();
    await disk.swept();
    expect(uplink.texts()).toEqual(['gone', 'later']);
  });

  it('one that the store did not take is tried again until it does', async () => {
    await start();
    const witness = await listener();
    let tries = 0;
    uplink.decide = ({ store, fail }) => {
      if (++tries < 3) fail(new PubSubError('UNAVAILABLE', 'The disk is full.'));
      else store();
    };
    await vanish(await server.rawConnected('a', fields(0, 0)));
    expect(await witness.take(1)).toEqual([gone]);
    await disk.swept();
    expect([tries, uplink.texts(), server.server.counters().dropped.will_not_stored]).toEqual([3, ['gone'], 0]);
  });

  it('leaves later when the end of its connection could not be written', async () => {
    await start();
    const witness = await listener();
    const client = await server.rawConnected('a', fields(60, 0));
    disk.beforeWrite = () => Promise.reject(new PubSubError('UNAVAILABLE', 'The disk is full.'));
    await vanish(client);
    expect(witness.arrived).toBe(0);
    disk.beforeWrite = async () => {};
    expect(await witness.take(1)).toEqual([gone]);
    await disk.swept();
    expect([witness.arrived, uplink.texts()]).toEqual([0, ['gone']]);
  });

  it('is retained, expires and is queued like any message', async () => {
    await start();
    const subscriber = await server.rawConnected('s', { version: 5, clean: false, properties: expiry(60) });
    subscriber.send(subscribe(1, { 'w/#': 1 }, ''), disconnect);
    await subscriber.closed;
    const will = { topic: 'w/1', payload: 'gone', qos: 1, properties: `02 00000014 ${delay(10)}` };
    await vanish(await server.rawConnected('a', { version: 5, properties: expiry(60), will }));
    nowMs += 10_000;
    await disk.swept();
    nowMs += 5_000; // of the 20 seconds that count from when it left
    const again = await server.rawConnected('s', { version: 5, clean: false, properties: expiry(60) });
    expect(await again.take(1)).toEqual([
      publish('w/1', { qos: 1, id: 1, properties: '02 0000000f', payload: 'gone' }).toString('hex'),
    ]);
  });

  it('a connection that takes over sends the will of the one before', async () => {
    await start();
    const witness = await listener();
    await server.rawConnected('a', fields(60, 0));
    const second = await server.raw();
    second.send(connect('a', { version: 5, clean: false, properties: expiry(60) }));
    await second.take(1);
    expect(await witness.take(1)).toEqual([gone]);
  });
});
