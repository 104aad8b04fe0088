import { afterEach, describe, expect, it } from 'vitest';
import { defaultRoutes } from '../../src/bridge/default-routes.ts';
import { PubSubError } from '../../src/domain/errors.ts';
import type { RouteDefinition } from '../../src/domain/route.ts';
import { expectRefusal } from '../support/refusal.ts';
import { type BridgeUnderTest, openBridge, publish, topicNamed } from './bridge-under-test.ts';

let bridge: BridgeUnderTest;

async function open(...args: Parameters<typeof openBridge>): Promise<void> {
  bridge = await openBridge(...args);
}

afterEach(() => bridge.remove());

const events = 'devices/d1/events';

describe('uplink - one topic', () => {
  it('uplink - an accepted message is in the log with its data, attributes and ordering key (I1)', async () => {
    await open(defaultRoutes, ['telemetry', 'device-state']);
    await bridge.uplink.open('c1').accept(publish(`${events}/env`, '21.5', { qos: 2, retain: true }));
    await bridge.restart();
    const attributes = { deviceId: 'd1', subFolder: 'env', mqttTopic: `${events}/env`, mqttClientId: 'c1' };
    const [message] = await bridge.stored('telemetry');
    expect(message).toMatchObject({ orderingKey: 'd1' });
    expect(message!.attributes).toEqual({ ...attributes, mqttQos: '2', mqttRetain: 'true' });
    expect(Buffer.from(message!.data).toString()).toBe('21.5');
  });

  it('uplink - an empty payload is a message all the same', async () => {
    await open(defaultRoutes, ['telemetry']);
    await bridge.uplink.open('c1').accept(publish(events, ''));
    expect(await bridge.texts('telemetry')).toEqual(['']);
  });

  it('uplink - a topic that no route takes stays MQTT-only and is counted', async () => {
    await open(defaultRoutes, []);
    const device = bridge.uplink.open('c1');
    expect(device.accept(publish('chat/room', 'hi'))).toBeUndefined();
    expect(device.accept(publish('chat/room', 'hi'))).toBeUndefined();
    expect(bridge.uplink.counters().unrouted).toBe(2);
  });

  it('uplink - messages that look the same share one frozen attributes object, others do not', async () => {
    await open(defaultRoutes, ['telemetry']);
    const device = bridge.uplink.open('c1');
    const hows = [
      {},
      {},
      { qos: 0 },
      { retain: true },
      { properties: { contentType: 'a' } },
      { properties: {} },
    ] as const;
    await Promise.all(hows.map((how) => device.accept(publish(events, 'x', how))));
    const seen = bridge.publisher.sent.map(({ message }) => message.attributes);
    expect(Object.isFrozen(seen[0])).toBe(true);
    expect(seen.map((attributes) => seen.indexOf(attributes))).toEqual([0, 0, 2, 3, 4, 0]);
  });

  it('uplink - messages of one client are stored in the order in which they came (I7)', async () => {
    await open([{ filter: 'a/{id}', topic: 'telemetry' }], ['telemetry']);
    const device = bridge.uplink.open('c1');
    const texts = Array.from({ length: 200 }, (_, i) => String(i));
    await Promise.all(texts.map((text, i) => device.accept(publish(`a/${i % 3}`, text, { qos: i % 2 ? 1 : 0 }))));
    expect(await bridge.texts('telemetry')).toEqual(texts);
  });

  it('uplink - a client with more topics than are remembered gets the same answers, and it is counted', async () => {
    await open([{ filter: 'a/{id}', topic: 'telemetry', orderingKey: '{id}' }], ['telemetry'], {
      topicsPerClientMax: 2,
    });
    const device = bridge.uplink.open('c1');
    for (const id of ['1', '2', '3', '1', '2', '2']) await device.accept(publish(`a/${id}`, id));
    expect((await bridge.stored('telemetry')).map(({ orderingKey }) => orderingKey).join('')).toBe('123122');
    expect(bridge.uplink.counters().topicsForgotten).toBe(3);
  });
});

describe('uplink - what is refused (I9)', () => {
  it('uplink - a capture that is not allowed refuses the message in every topic; nothing is stored', async () => {
    await open([{ filter: '#', topic: 'archive' }, ...defaultRoutes], ['telemetry', 'archive']);
    const accepted = bridge.uplink.open('c1').accept(publish('devices//events', 'x'));
    await expectRefusal(() => accepted, 'INVALID_ARGUMENT', '{deviceId} is empty');
    expect([await bridge.texts('archive'), await bridge.texts('telemetry')]).toEqual([[], []]);
    const counts = bridge.uplink.counters().routes.filter(({ matched }) => matched > 0);
    expect(counts).toMatchObject([
      { name: '#', matched: 1, refused: 1 },
      { name: 'default-events', matched: 1, refused: 1 },
    ]);
  });

  it('uplink - a property that cannot be kept refuses the message, and the next one passes', async () => {
    await open(defaultRoutes, ['telemetry']);
    const device = bridge.uplink.open('c1');
    const spoofed = publish(events, 'x', { properties: { user: [['deviceId', 'd2']] } });
    await expectRefusal(() => device.accept(spoofed), 'INVALID_ARGUMENT', 'rename it');
    await device.accept(publish(events, 'y', { properties: { user: [['fw', '2']] } }));
    expect((await bridge.stored('telemetry')).map(({ attributes }) => attributes['fw'])).toEqual(['2']);
  });

  it('uplink - a topic that is missing refuses the message, saying which route and topic, until it is made', async () => {
    await open([{ name: 'r', filter: 'sites/{site}', topic: 'site-{site}' }], ['site-b']);
    const device = bridge.uplink.open('c1');
    await expectRefusal(
      () => device.accept(publish('sites/a', 'x')),
      'INVALID_ARGUMENT',
      'Route "r"',
      topicNamed('site-a'),
    );
    await device.accept(publish('sites/b', 'x'));
    await bridge.store.createTopic({ name: topicNamed('site-a'), labels: {} });
    await device.accept(publish('sites/a', 'later'));
    expect(await bridge.texts('site-a')).toEqual(['later']);
    expect(bridge.uplink.counters().routes).toEqual([{ name: 'r', matched: 3, stored: 2, refused: 1, failed: 0 }]);
  });
});

describe('uplink - several topics', () => {
  const both: readonly RouteDefinition[] = [
    { name: 'all', filter: '#', topic: 'archive' },
    { name: 'a', filter: 'a/#', topic: 'telemetry' },
  ];

  it('uplink - a message is accepted once it is in every topic (I1)', async () => {
    await open(both, ['archive', 'telemetry']);
    const device = bridge.uplink.open('c1');
    await Promise.all(['1', '2'].map((text) => device.accept(publish('a/b', text))));
    expect([await bridge.texts('archive'), await bridge.texts('telemetry')]).toEqual([
      ['1', '2'],
      ['1', '2'],
    ]);
  });

  it('uplink - one topic that does not answer makes the device send again, whatever the others said (I1)', async () => {
    await open(both, ['archive']);
    bridge.publisher.unsureTopic = topicNamed('archive');
    const accepted = bridge.uplink.open('c1').accept(publish('a/b', 'x'));
    await expectRefusal(() => accepted, 'UNAVAILABLE', 'did not answer');
    expect(bridge.uplink.counters().routes).toMatchObject([
      { name: 'all', failed: 1, refused: 0 },
      { name: 'a', failed: 0, refused: 1 },
    ]);
  });

  it('uplink - a bug in the store is not taken for a refusal', async () => {
    await open(both, ['archive', 'telemetry']);
    bridge.publisher.publishOne = () => Promise.reject(new TypeError('a bug'));
    await expect(bridge.uplink.open('c1').accept(publish('a/b', 'x'))).rejects.not.toBeInstanceOf(PubSubError);
    expect(bridge.uplink.counters().routes).toMatchObject([{ failed: 1 }, { failed: 1 }]);
  });
});
