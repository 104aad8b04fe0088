import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../src/domain/filter.ts';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';

const matches = (filter: string, attributes: Record<string, string>) => compileFilter(filter)!(attributes);

describe('filters', () => {
  it('filter - the empty text takes every message', () => {
    expect(compileFilter('')).toBeUndefined();
  });

  it.each<[string, Record<string, string>, boolean]>([
    ['attributes:k', { k: '' }, true],
    ['attributes:k', { K: 'v' }, false],
    ['attributes:constructor', {}, false],
    ['attributes.k = "v"', { k: 'v' }, true],
    ['attributes.k="v"', { k: 'V' }, false],
    ['attributes.toString = "v"', { toString: 'v' }, true],
    ['attributes.k != "v"', { k: 'w' }, true],
    ['attributes.k != "v"', { k: 'v' }, false],
    ['attributes.k != "v"', {}, true],
    ['hasPrefix(attributes.k, "ab")', { k: 'abc' }, true],
    ['hasPrefix( attributes . k , "ab" )', { k: 'ba' }, false],
    ['hasPrefix(attributes.k, "")', {}, false],
    ['NOT attributes:k', {}, true],
    ['-attributes:k', { k: 'v' }, false],
    ['NOT (attributes:a OR attributes:b)', { b: '' }, false],
    ['- - attributes:a', { a: '' }, true],
    ['attributes:a AND attributes:b AND -attributes:c', { a: '', b: '' }, true],
    ['attributes:a AND attributes:b', { a: '' }, false],
    ['attributes:a OR attributes:b', { b: '' }, true],
    ['NOT attributes:a AND attributes:b', { b: '' }, true],
    ['(attributes:a AND attributes:b) OR attributes:c', { c: '' }, true],
    ['attributes:a AND (attributes:b OR attributes:c)', { c: '' }, false],
    ['attributes:"iana.org/language_tag"', { 'iana.org/language_tag': 'en' }, true],
    ['attributes."a \\"b\\"" = "x\\\\y"', { 'a "b"': 'x\\y' }, true],
    ['attributes.k = "\\x41\\u00e9\\U0001f30a\\101\\t"', { k: 'Aé🌊A\t' }, true],
    ['attributes.a-b_1 = "v"', { 'a-b_1': 'v' }, true],
    ['attributes:NOT', { NOT: '' }, true],
    ['\n attributes:k\t', { k: '' }, true],
  ])('filter - %j on %j is %s', (filter, attributes, expected) => {
    expect(matches(filter, attributes)).toBe(expected);
  });

  it.each([
    ['   ', 'position 4: expected attributes, hasPrefix, NOT, - or (, found the end'],
    ['attribute:k', 'position 1'],
    ['attributes', 'position 11: expected ":" or "."'],
    ['attributes:', 'position 12: expected an attribute key'],
    ['attributes:""', 'expected an attribute key'],
    ['attributes.k', 'position 13: expected "=" or "!="'],
    ['attributes.k > "v"', 'position 14: expected "=" or "!=", found ">"'],
    ['attributes.k = v', 'position 16: expected a text in double quotes, found "v"'],
    ["attributes.k = 'v'", 'position 16: expected a text in double quotes'],
    ['attributes.k = "v', 'position 16 has no closing quote'],
    ['attributes.k = "\\q"', 'unknown escape at position 17'],
    ['attributes.k = "\\U00110000"', 'unknown escape at position 17'],
    ['attributes:k and attributes:j', 'position 14: expected AND, OR or the end, found "and"'],
    ['attributes:k AND', 'position 17'],
    ['attributes:k)', 'position 13'],
    ['(attributes:k', 'position 14: expected ")"'],
    ['attributes:a AND attributes:b OR attributes:c', 'mixes AND and OR'],
    ['attributes:a OR attributes:b AND attributes:c', 'put parentheses'],
    ['hasPrefix attributes.k', 'expected "("'],
    ['hasPrefix(k, "v")', 'position 11: expected attributes'],
    ['hasPrefix(attributes.k)', 'expected ","'],
    ['hasPrefix(attributes:k, "v")', 'expected "."'],
    ['NOTattributes:k', 'position 1'],
  ])('filter - I9: %j is refused, and says %s', async (filter, says) => {
    await expectRefusal(() => compileFilter(filter), 'INVALID_ARGUMENT', says);
  });

  it('filter - may have 256 bytes, not characters', async () => {
    await expectRefusal(() => compileFilter(`attributes:"${'é'.repeat(122)}"`), 'INVALID_ARGUMENT', '257 bytes');
    expect(compileFilter(`attributes:"${'é'.repeat(121)}"`)).toBeDefined();
  });

  it('filter - any text in quotes compares to itself', async () => {
    const anyText = fc.string({ unit: 'grapheme', maxLength: 40 });
    const inQuotes = (text: string) => `"${text.replace(/["\\]/g, (char) => `\\${char}`)}"`;
    await holds(
      fc.property(
        anyText.filter((key) => key !== ''),
        anyText,
        anyText,
        (key, value, other) => {
          const filter = `attributes.${inQuotes(key)} = ${inQuotes(value)}`;
          fc.pre(Buffer.byteLength(filter) <= 256);
          expect(matches(filter, Object.fromEntries([[key, value]]))).toBe(true);
          expect(matches(filter, Object.fromEntries([[key, other]]))).toBe(other === value);
        },
      ),
    );
  });

  it('filter - I9: garbage is refused, and never anything worse', async () => {
    const pieces = fc.constantFrom(
      'attributes',
      ':',
      '.',
      '=',
      '!=',
      '"v"',
      '(',
      ')',
      'AND',
      'OR',
      'NOT',
      '-',
      ' ',
      'k',
      '"',
      '\\',
      ',',
      'hasPrefix',
    );
    await holds(
      fc.asyncProperty(fc.array(pieces, { minLength: 1, maxLength: 12 }), async (parts) => {
        const text = parts.join('');
        try {
          expect(typeof compileFilter(text)!({ k: 'v' })).toBe('boolean');
        } catch {
          await expectRefusal(() => compileFilter(text), 'INVALID_ARGUMENT');
        }
      }),
      1000,
    );
  });
});
