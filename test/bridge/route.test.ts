import { describe, expect, it } from 'vitest';
import { applyRoute, parseRoute, type RouteDefinition } from '../../src/domain/route.ts';
import { matchRouteFilter } from '../../src/domain/route-filter.ts';
import { expectRefusal } from '../support/refusal.ts';

function apply(definition: RouteDefinition, mqttTopic: string, mqttClientId = 'c1') {
  const route = parseRoute(definition, 'headwater');
  return applyRoute(route, matchRouteFilter(route.filter, mqttTopic.split('/'))!, { mqttTopic, mqttClientId });
}

describe('route - what it makes of a topic', () => {
  it('route - fills captures, topic and client id into attributes and the ordering key', () => {
    const definition = {
      filter: 'sites/{site}/{device}/{rest#}',
      topic: 'site-{site}',
      attributes: { where: '{site}/{device}', rest: '[{rest}]', kind: 'env', from: '{mqttClientId} {mqttTopic}' },
      orderingKey: '{device}',
    };
    expect(apply(definition, 'sites/s1/d1/a/b')).toEqual({
      topic: 'projects/headwater/topics/site-s1',
      attributes: [
        ['where', 's1/d1'],
        ['rest', '[a/b]'],
        ['kind', 'env'],
        ['from', 'c1 sites/s1/d1/a/b'],
      ],
      orderingKey: 'd1',
    });
  });

  it('route - without ordering key and attributes the message has neither', () => {
    expect(apply({ filter: '#', topic: 'all-of-it' }, 'x')).toMatchObject({ attributes: [], orderingKey: '' });
  });

  it('route - a full topic name keeps its own project', () => {
    expect(apply({ filter: '#', topic: 'projects/other/topics/abc' }, 'x').topic).toBe('projects/other/topics/abc');
  });

  it('route - an attribute may be called __proto__', () => {
    const attributes = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    expect(apply({ filter: '#', topic: 'abc', attributes }, 'x').attributes).toEqual([['__proto__', 'x']]);
  });
});

describe('route - captured values that are refused (I9)', () => {
  const table: readonly [what: string, mqttTopic: string, says: string][] = [
    ['an empty level', 'd//e', '{id} is empty; it needs at least one character'],
    ['a plus sign', 'd/a+b/e', '{id} is "a+b"; + # NUL and lone surrogates are not allowed in it'],
    ['a hash', 'd/#/e', '{id} is "#"'],
    ['NUL', 'd/\0/e', '{id} is "\\u0000"'],
    ['a lone surrogate', 'd/x\ud800/e', '{id} is "x\\ud800"'],
    ['a wildcard in the rest', 'd/x/e/a/#', '{sub} is "a/#"'],
  ];
  for (const [what, mqttTopic, says] of table) {
    it(`route - refuses ${what}, naming route and topic`, async () => {
      const definition = { name: 'r', filter: 'd/{id}/e/{sub#}', topic: 'abc' };
      await expectRefusal(
        () => apply(definition, mqttTopic),
        'INVALID_ARGUMENT',
        'Route "r" cannot take MQTT topic',
        says,
      );
    });
  }

  it('route - a pair of surrogates is a character like any other', () => {
    expect(apply({ filter: '{id}', topic: 'abc', orderingKey: '{id}' }, '🌊').orderingKey).toBe('🌊');
  });

  it('route - refuses a capture that makes no topic id', async () => {
    const definition = { filter: 'sites/{site}', topic: 'site-{site}' };
    await expectRefusal(() => apply(definition, 'sites/a b'), 'INVALID_ARGUMENT', 'topic id "site-a b" is not allowed');
  });

  it('route - shows only the beginning of a long topic', async () => {
    const error = await apply1('x'.repeat(60_000));
    expect(error.length).toBeLessThan(500);
  });

  async function apply1(deviceTopic: string): Promise<string> {
    try {
      apply({ filter: '+/{id}', topic: 'abc' }, `${deviceTopic}/`);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('expected a refusal');
  }
});

describe('route - a wrong definition is refused in one sentence (I9)', () => {
  const table: readonly [what: string, wrong: Partial<RouteDefinition>, says: string][] = [
    ['its filter', { filter: 'a/#/b' }, 'goes on after its multi-level wildcard'],
    ['an empty name', { name: '' }, 'The name has 0 characters; 1 to 200 are allowed.'],
    ['a capture with a name of the bridge', { filter: '{mqttTopic}' }, 'names a level {mqttTopic}'],
    ['a topic that is no id', { topic: 'a' }, 'topic id "a" is not allowed'],
    ['a topic of Google', { topic: 'goog-x' }, 'starts with "goog"'],
    ['a topic with a slash', { topic: 'a/b' }, 'must read projects/{project}/topics/{topic}'],
    ['a topic with an unknown capture', { topic: 'x-{y}' }, '"x-{y}" holds "{y}"; braces are for: {id}.'],
    ['a topic from the rest, which may hold slashes', { topic: '{rest}' }, 'braces are for: {id}.'],
    ['a topic from the client id', { topic: '{mqttClientId}' }, 'braces are for: {id}.'],
    ['a lone brace', { orderingKey: 'x{id' }, 'braces are for: {id}, {rest}, {mqttTopic}, {mqttClientId}.'],
    [
      'an attribute of the bridge',
      { attributes: { mqttQos: '1' } },
      'The attribute "mqttQos" is set by the bridge itself',
    ],
    ['an attribute of Google', { attributes: { googlx: '1' } }, 'starts with "goog", which is reserved'],
    ['an attribute without key', { attributes: { '': '1' } }, 'An attribute key has 0 bytes; 1 to 256 are allowed.'],
    [
      'a long attribute',
      { attributes: { a: 'ü'.repeat(513) } },
      'attributes.a has 1026 bytes; at most 1024 are allowed.',
    ],
    ['a long ordering key', { orderingKey: 'k'.repeat(1025) }, 'orderingKey has 1025 bytes; at most 1024 are allowed.'],
    ['too many attributes', { attributes: many(92) }, 'It adds 92 attributes; at most 91 are allowed.'],
  ];
  for (const [what, wrong, says] of table) {
    it(`route - refuses ${what}`, async () => {
      const definition = { filter: 'd/{id}/{rest#}', topic: 'abc', ...wrong };
      await expectRefusal(() => parseRoute(definition, 'headwater'), 'INVALID_ARGUMENT', 'Route "', says);
    });
  }

  it('route - as many attributes as leave room for those of the bridge are allowed', () => {
    expect(parseRoute({ filter: '#', topic: 'abc', attributes: many(91) }, 'headwater').attributes).toHaveLength(91);
  });
});

function many(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, 'x']));
}
