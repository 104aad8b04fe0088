import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FilterTrie } from '../../src/mqtt/filter-trie.ts';
import { filterMatches } from '../../src/mqtt/topic-rules.ts';

const level = fc.constantFrom('', 'a', 'b', '$s');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.constantFrom('', 'a', 'b', '$s', '+'), { maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all || levels.length === 0 ? ['#'] : [])].join('/'));

describe('mqtt filter trie', () => {
  it('finds exactly the holders whose filter matches, after any sets and deletes', () => {
    const steps = fc.array(fc.tuple(filters, fc.nat(3), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(steps, topics, (changes, topic) => {
        const trie = new FilterTrie<number, string>();
        const held = new Map<string, [filter: string, key: number]>();
        for (const [filter, key, add] of changes) {
          if (add) trie.set(filter, key, filter);
          else trie.delete(filter, key);
          if (add) held.set(`${key} ${filter}`, [filter, key]);
          else held.delete(`${key} ${filter}`);
        }
        const found: string[] = [];
        trie.match(topic, (key, filter) => found.push(`${key} ${filter}`));
        const expected = [...held.values()].filter(([filter]) => filterMatches(filter, topic));
        expect(found.sort()).toEqual(expected.map(([filter, key]) => `${key} ${filter}`).sort());
        expect(trie.matches(topic)).toBe(expected.length > 0);
      }),
      { numRuns: 2000 },
    );
  });

  it('changes its version when an answer may have changed, and only then', () => {
    const trie = new FilterTrie<number, true>();
    const versions = [trie.version];
    const note = () => versions.push(trie.version);
    trie.set('a/+', 1, true);
    note();
    trie.set('a/+', 2, true); // one more holder
    note();
    trie.delete('a/+', 1);
    note();
    trie.delete('a/+', 2);
    note();
    trie.delete('a/+', 2); // nobody there
    note();
    expect(versions).toEqual([0, 1, 1, 1, 2, 2]);
  });

  // MQTT5 §4.7.1.2, §4.7.1.3, §4.7.2: the specification's own examples.
  it.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['#', 'sport/tennis', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/x', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
  ])('%s and %s: %s', (filter, topic, matches) => {
    const trie = new FilterTrie<number, true>();
    trie.set(filter, 1, true);
    expect([filterMatches(filter, topic), trie.matches(topic)]).toEqual([matches, matches]);
  });
});
