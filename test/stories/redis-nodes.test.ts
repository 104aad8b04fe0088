import { randomUUID } from 'node:crypto';
import mqtt from 'mqtt';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openFront } from '../support/front.ts';
import { RedisServer } from '../support/redis-server.ts';
import { runSimulator } from '../support/run-simulator.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import type { RunningServer } from '../support/start-server.ts';
import { storesMore } from '../support/stored-records.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const fleet = ['--devices', '40', '--rate', '20', '--seed', '13'];
const clean = { lost: 0, outOfOrder: 0, redeliveredAfterAck: 0, corrupted: 0, unexpected: 0 };

describe('stories - several nodes on one Redis', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await RedisServer.start({ appendfsync: 'always' });
    return () => redis.remove();
  });

  /** A deployment of its own: nodes that share a prefix. */
  function nodes(count: number): Promise<RunningServer[]> {
    const args = ['--store', redis.url, '--redis-prefix', `${randomUUID()}:`];
    return Promise.all(Array.from({ length: count }, () => serverUnderTest({ dataDir: tempDirectory(), args })));
  }

  for (const qos of [1, 2] as const) {
    it(`QoS ${qos} into one node, out of another: nothing lost, order kept (I3, I5, I6, I11)`, async () => {
      const [a, b] = await nodes(2);
      const flags = [...fleet, '--duration', '5s', '--qos', String(qos)];
      const { proof, ...summary } = await runSimulator({ mqttUrl: a!.mqttUrl, httpUrl: b!.httpUrl }, flags);
      expect(summary).toMatchObject({ ok: true, pending: 0, refused: 0, reconnects: 0 });
      expect(proof).toMatchObject({ ...clean, duplicates: 0 });
      expect(proof.received).toBe(summary.acked);
    }, 60_000);

    it(`QoS ${qos}, a node killed under load: its devices go on at the other, nothing acknowledged is lost (I1, I11)`, async () => {
      const [a, b] = await nodes(2);
      const front = await openFront([a!.mqttPort, b!.mqttPort]);
      onTestFinished(() => front.close());
      const flags = [...fleet, '--duration', '8s', '--qos', String(qos)];
      const run = runSimulator({ mqttUrl: `mqtt://127.0.0.1:${front.port}`, httpUrl: b!.httpUrl }, flags);
      await storesMore(a!, 1000);
      await a!.kill();
      const { proof, ...summary } = await run;
      expect(summary).toMatchObject({ ok: true, pending: 0, refused: 0, sessionsLost: 0, abandoned: 0 });
      expect(summary.reconnects).toBeGreaterThanOrEqual(10);
      expect(proof).toMatchObject(clean);
      if (qos === 2) expect(proof.duplicates).toBe(0);
    }, 60_000);
  }

  it('sessions and what is queued for them outlive the node that they were on; each will is sent once (I1, I11)', async () => {
    const [a, b] = await nodes(2);
    const heard = await listenTo(b!, 'wills/+');
    const devices = await Promise.all(Array.from({ length: 20 }, (_, index) => connectDevice(a!, index)));
    for (const device of devices) await device.subscribeAsync(`commands/${device.options.clientId}`, { qos: 1 });
    const publisher = await connect(b!, { clientId: 'publisher' });
    await Promise.all(devices.map((device) => publisher.publishAsync(commandsOf(device), 'before', { qos: 1 })));
    for (const device of devices) device.removeAllListeners('close');
    const gone = Promise.all(devices.map((device) => device.endAsync(true).catch(() => {})));
    await a!.kill();
    await gone;
    for (const text of ['after 1', 'after 2']) {
      await Promise.all(devices.map((device) => publisher.publishAsync(commandsOf(device), text, { qos: 1 })));
    }
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(devices.length);
    const back = await Promise.all(devices.map((_, index) => reconnectDevice(b!, index)));
    await expect.poll(() => back.every(({ texts }) => texts.includes('after 2')), { timeout: 10_000 }).toBe(true);
    for (const { present, texts } of back) {
      expect(present).toBe(true);
      expect(texts.filter((text) => text !== 'before')).toEqual(['after 1', 'after 2']);
    }
    expect(new Set(heard).size).toBe(devices.length);
    expect(heard).toHaveLength(devices.length);
  }, 60_000);
});

function commandsOf(device: mqtt.MqttClient): string {
  return `commands/${device.options.clientId}`;
}

async function connect(server: RunningServer, options: mqtt.IClientOptions): Promise<mqtt.MqttClient> {
  const client = await mqtt.connectAsync(server.mqttUrl, { protocolVersion: 5, reconnectPeriod: 0, ...options });
  client.on('error', () => {});
  onTestFinished(() => void client.end(true));
  return client;
}

const kept = { clean: false, properties: { sessionExpiryInterval: 3600 } };

function connectDevice(server: RunningServer, index: number): Promise<mqtt.MqttClient> {
  const will = { topic: `wills/${index}`, payload: Buffer.from('gone'), qos: 1 as const };
  return connect(server, { clientId: `kept-${index}`, will, ...kept });
}

/** Listens before it connects: the server sends what is queued right after CONNACK. */
function reconnectDevice(server: RunningServer, index: number): Promise<{ present: boolean; texts: string[] }> {
  const texts: string[] = [];
  const options = { protocolVersion: 5 as const, reconnectPeriod: 0, clientId: `kept-${index}`, ...kept };
  const client = mqtt.connect(server.mqttUrl, options);
  onTestFinished(() => void client.end(true));
  client.on('message', (_topic, payload) => void texts.push(payload.toString()));
  return new Promise((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve({ present: sessionPresent, texts }));
    client.once('error', reject);
  });
}

async function listenTo(server: RunningServer, filter: string): Promise<string[]> {
  const topics: string[] = [];
  const client = await connect(server, { clientId: 'listener' });
  client.on('message', (topic) => void topics.push(topic));
  await client.subscribeAsync(filter, { qos: 1 });
  return topics;
}
