import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchRouteFilter, parseRouteFilter } from '../../src/domain/route-filter.ts';

function capturesOf(filter: string, topic: string): Record<string, string> | undefined {
  const captures = matchRouteFilter(parseRouteFilter(filter), topic.split('/'));
  return captures && Object.fromEntries(captures);
}

describe('route filter - what it matches and captures', () => {
  const table: readonly [filter: string, topic: string, captures: Record<string, string> | undefined][] = [
    ['devices/{deviceId}/events', 'devices/d1/events', { deviceId: 'd1' }],
    ['devices/{deviceId}/events', 'devices/d1/events/', undefined],
    ['devices/{deviceId}/events', '/devices/d1/events', undefined],
    ['devices/{deviceId}/events', 'devices/a/b/events', undefined],
    ['devices/{deviceId}/events', 'devices/d1/Events', undefined],
    ['devices/{deviceId}/events/#', 'devices/d1/events', { deviceId: 'd1' }],
    ['devices/{deviceId}/events/#', 'devices/d1/events/a/b', { deviceId: 'd1' }],
    ['devices/{deviceId}/events/{sub#}', 'devices/d1/events', { deviceId: 'd1', sub: '' }],
    ['devices/{deviceId}/events/{sub#}', 'devices/d1/events/a//b', { deviceId: 'd1', sub: 'a//b' }],
    ['/{a}', '/', { a: '' }],
    ['+/{b}', 'x/y', { b: 'y' }],
    ['{all#}', 'x/y', { all: 'x/y' }],
    ['#', 'x', {}],
    ['#', '$SYS/x', undefined], // MQTT-4.7.2-1
    ['{a}/x', '$SYS/x', undefined],
    ['{constructor}', 'x', { constructor: 'x' }],
  ];
  for (const [filter, topic, captures] of table) {
    it(`route filter - ${filter} on ${topic}`, () => expect(capturesOf(filter, topic)).toEqual(captures));
  }
});

describe('route filter - a wrong one is refused in one sentence', () => {
  const table: readonly [filter: string, sentence: RegExp][] = [
    ['', /is empty/],
    ['a/#/b', /goes on after its multi-level wildcard/],
    ['{a#}/b', /goes on after its multi-level wildcard/],
    ['a/b+', /level "b\+" .* is not allowed; a level is plain text, \+ or \{name\}/],
    ['a/{b', /level "\{b"/],
    ['a/x{b}', /level "x\{b\}"/],
    ['a/{1b}', /level "\{1b\}"/],
    ['a/{}', /level "\{\}"/],
    ['a/\0', /level "\\u0000"/],
    ['a/\ud800', /level "\\ud800"/],
    ['{a}/{a}', /names two levels \{a\}/],
    ['{a}/{a#}', /names two levels \{a\}/],
    ['$share/g/a', /starts with \$/],
    ['a'.repeat(65_536), /more than 65535 bytes/],
  ];
  for (const [filter, sentence] of table) {
    it(`route filter - refuses ${JSON.stringify(filter.slice(0, 20))}`, () => {
      expect(() => parseRouteFilter(filter)).toThrowError(sentence);
    });
  }
});

/** The matching rules of MQTT-4.7 written another way: a filter is a regular expression over the whole topic. */
function mqttMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$')) return false;
  const levels = filter.split('/').map((level) => (level === '+' ? '[^/]*' : level.replace('$', '\\$')));
  if (levels.at(-1) !== '#') return new RegExp(`^${levels.join('/')}$`).test(topic);
  const parent = levels.slice(0, -1).join('/');
  return levels.length === 1 || new RegExp(`^${parent}(/.*)?$`).test(topic);
}

function unnamed(filter: string): string {
  return filter.replaceAll(/\{\w+(#?)\}/g, (_, hash: string) => hash || '+');
}

const word = fc.constantFrom('a', 'b', 'devices', '', '$x');
const topics = fc.array(word, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const plainFilters = fc
  .tuple(fc.array(fc.oneof(word, fc.constantFrom('+', 'NAMED')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => {
    const named = levels.map((level, i) => (level === 'NAMED' ? `{n${i}}` : level));
    return [...named, ...(rest ? ['{rest#}'] : [])].join('/');
  })
  .filter((filter) => filter !== '' && !filter.startsWith('$'));

describe('route filter - agrees with MQTT', () => {
  it('route filter - matches exactly the topics that its MQTT filter matches, and captures give the topic back', () => {
    let matches = 0;
    fc.assert(
      fc.property(plainFilters, topics, (text, topic) => {
        const filter = parseRouteFilter(text);
        const captures = matchRouteFilter(filter, topic.split('/'));
        expect(captures !== undefined).toBe(mqttMatches(unnamed(text), topic));
        if (!captures) return;
        matches++;
        if (text.includes('+')) return;
        const back = text.replaceAll(/\{(\w+)#?\}/g, (_, name: string) => captures.get(name)!);
        expect([topic, `${topic}/`]).toContain(back); // an empty rest leaves the slash in front of it
      }),
      { numRuns: 5000 },
    );
    expect(matches).toBeGreaterThan(100); // the generator does produce matching pairs
  });
});
