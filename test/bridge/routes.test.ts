import { describe, expect, it } from 'vitest';
import { defaultRoutes } from '../../src/bridge/default-routes.ts';
import { Routes } from '../../src/bridge/routes.ts';
import type { PublishProperties } from '../../src/bridge/uplink.ts';
import type { RouteDefinition } from '../../src/domain/route.ts';
import { expectRefusal } from '../support/refusal.ts';

function dryRun(routes: Routes, mqttTopic: string, properties?: PublishProperties) {
  return routes.dryRun({ mqttTopic, mqttClientId: 'c1' }, { qos: 1, retain: false, properties });
}

const telemetry = 'projects/headwater/topics/telemetry';
const deviceState = 'projects/headwater/topics/device-state';

describe('routes - the default ones', () => {
  const routes = new Routes(defaultRoutes, 'headwater');
  const table: readonly [mqttTopic: string, topic: string | undefined, subFolder?: string][] = [
    ['devices/d1/events', telemetry, ''],
    ['devices/d1/events/', telemetry, ''],
    ['devices/d1/events/env/indoor', telemetry, 'env/indoor'],
    ['/devices/d1/events', telemetry, ''],
    ['/devices/d1/events/env', telemetry, 'env'],
    ['devices/d1/state', deviceState, ''],
    ['/devices/d1/state', deviceState, ''],
    ['devices/d1/state/x', undefined],
    ['devices/d1/commands', undefined],
    ['devices/d1', undefined],
    ['x/devices/d1/events', undefined],
    ['$SYS/devices/d1/events', undefined],
  ];
  for (const [mqttTopic, topic, subFolder] of table) {
    it(`routes - ${mqttTopic} goes to ${topic ?? 'no topic'}`, () => {
      const routed = dryRun(routes, mqttTopic);
      if (!topic) return expect(routed).toEqual([]);
      const attributes = {
        deviceId: 'd1',
        subFolder,
        mqttTopic,
        mqttClientId: 'c1',
        mqttQos: '1',
        mqttRetain: 'false',
      };
      expect(routed).toMatchObject([{ topic, orderingKey: 'd1' }]);
      expect(routed[0]!.attributes).toEqual(attributes);
    });
  }

  it('routes - know the topics to create', () => {
    expect(routes.topics).toEqual([telemetry, deviceState]);
  });

  it('routes - a dry run counts nothing', () => {
    expect(routes.counters().every(({ matched, refused }) => matched + refused === 0)).toBe(true);
  });
});

describe('routes - several at once', () => {
  const filter = 'devices/{deviceId}/events/{sub#}';

  it('routes - each topic that a route leads to gets the message', () => {
    const routes = new Routes([{ filter: '#', topic: 'archive' }, ...defaultRoutes], 'headwater');
    const topics = dryRun(routes, 'devices/d1/events').map(({ topic }) => topic);
    expect(topics).toEqual(['projects/headwater/topics/archive', telemetry]);
  });

  it('routes - of two that lead to one topic the first decides', () => {
    const own: RouteDefinition = { name: 'own', filter, topic: 'telemetry', attributes: { kind: 'env' } };
    const routed = dryRun(new Routes([own, ...defaultRoutes], 'headwater'), 'devices/d1/events');
    expect(routed).toMatchObject([{ route: 'own', topic: telemetry, orderingKey: '', attributes: { kind: 'env' } }]);
  });

  it('routes - two of one name are refused, and more than 1000', async () => {
    const one = { filter: 'a', topic: 'abc' };
    await expectRefusal(() => new Routes([one, { ...one }], 'p'), 'INVALID_ARGUMENT', 'Two routes are named "a"');
    const many = Array.from({ length: 1001 }, (_, i) => ({ ...one, name: `r${i}` }));
    await expectRefusal(() => new Routes(many, 'p'), 'INVALID_ARGUMENT', 'There are 1001 routes; at most 1000');
  });

  it('routes - topics that depend on captures are not among those to create', () => {
    const routes = new Routes(
      [
        { filter: '{a}', topic: 'x-{a}' },
        { filter: 'b', topic: 'abc' },
      ],
      'p',
    );
    expect(routes.topics).toEqual(['projects/p/topics/abc']);
  });

  it('routes - a dry run refuses what is no topic name', async () => {
    const routes = new Routes([{ filter: '#', topic: 'abc' }], 'p');
    for (const topic of ['', 'a/+', '#', 'a\0']) {
      await expectRefusal(() => dryRun(routes, topic), 'INVALID_ARGUMENT', 'is no MQTT topic name');
    }
  });
});

describe('routes - the properties of MQTT 5', () => {
  const routes = new Routes(defaultRoutes, 'headwater');

  it('routes - every property that travels with a message becomes an attribute', () => {
    const [routed] = dryRun(routes, 'devices/d1/events', {
      payloadFormat: 1,
      messageExpirySeconds: 60,
      contentType: 'application/json',
      responseTopic: 'replies/d1',
      correlationData: Uint8Array.of(0, 255, 16),
      user: [
        ['fw', '1.2'],
        ['__proto__', 'x'],
      ],
    });
    expect(Object.entries(routed!.attributes)).toEqual([
      ['deviceId', 'd1'],
      ['subFolder', ''],
      ['mqttTopic', 'devices/d1/events'],
      ['mqttClientId', 'c1'],
      ['mqttQos', '1'],
      ['mqttRetain', 'false'],
      ['mqttPayloadFormat', '1'],
      ['mqttMessageExpirySeconds', '60'],
      ['mqttContentType', 'application/json'],
      ['mqttResponseTopic', 'replies/d1'],
      ['mqttCorrelationData', 'AP8Q'],
      ['fw', '1.2'],
      ['__proto__', 'x'],
    ]);
  });

  const many = Array.from({ length: 95 }, (_, i) => [`k${i}`, 'v'] as const);
  const table: readonly [what: string, properties: PublishProperties, says: string][] = [
    [
      'named like an attribute of the bridge',
      { user: [['mqttTopic', 'x']] },
      'has the name of an attribute that the bridge',
    ],
    [
      'named like an attribute of the route',
      { user: [['deviceId', 'd2']] },
      'that route "default-events" sets; rename it',
    ],
    [
      'sent twice',
      {
        user: [
          ['a', '1'],
          ['a', '2'],
        ],
      },
      '"a" occurs twice; an attribute has one value, so send it once',
    ],
    ["named like Google's own", { user: [['googclient_x', '1']] }, 'starts with "goog", which is reserved'],
    ['without a name', { user: [['', '1']] }, 'a key has 1 to 256 bytes'],
    ['with a long name', { user: [['k'.repeat(257), '1']] }, 'An attribute key has 257 bytes; at most 256 are allowed'],
    ['with a long value', { user: [['k', 'v'.repeat(1025)]] }, 'has 1025 bytes; at most 1024 are allowed'],
    ['beyond one hundred attributes', { user: many }, 'The message has 101 attributes; at most 100 are allowed'],
    ['of correlation data too long', { correlationData: new Uint8Array(769) }, '"mqttCorrelationData" has 1028 bytes'],
  ];
  for (const [what, properties, says] of table) {
    it(`routes - a property ${what} refuses the message (I9)`, async () => {
      await expectRefusal(() => dryRun(routes, 'devices/d1/events', properties), 'INVALID_ARGUMENT', says);
    });
  }

  it('routes - a topic that fits into no attribute refuses the message (I9)', async () => {
    const topic = `devices/d1/events/${'x'.repeat(1020)}`;
    await expectRefusal(() => dryRun(routes, topic), 'INVALID_ARGUMENT', 'at most 1024 are allowed');
  });
});
