import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../src/api/json/base64.ts';
import { duration, durationMsFromJson, durationToJson } from '../../src/api/json/duration-json.ts';
import { fieldMaskFromJson } from '../../src/api/json/field-mask-json.ts';
import { object, readObject } from '../../src/api/json/json-field.ts';
import { flag, int32, text, textList, textMap } from '../../src/api/json/scalar-fields.ts';
import { timestampMsFromJson, timestampToJson } from '../../src/api/json/timestamp-json.ts';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';

const fields = {
  topic: text(''),
  ackDeadlineSeconds: int32(''),
  detached: flag(''),
  labels: textMap(''),
  ackIds: textList(''),
  retryPolicy: object({ minimumBackoff: duration('') }),
};
const read = (json: unknown) => readObject(json, 'subscription', fields);

describe('proto3 JSON objects', () => {
  it('fields - lowerCamelCase and snake_case names mean the same field', () => {
    const wanted = { ackDeadlineSeconds: 20, retryPolicy: { minimumBackoff: 1500 } };
    expect(read({ ackDeadlineSeconds: 20, retryPolicy: { minimumBackoff: '1.5s' } })).toEqual(wanted);
    expect(read({ ack_deadline_seconds: 20, retry_policy: { minimum_backoff: '1.5s' } })).toEqual(wanted);
  });

  it('fields - null is absent, at every depth', () => {
    expect(read({ topic: null, labels: null, retryPolicy: { minimumBackoff: null } })).toEqual({ retryPolicy: {} });
  });

  it.each([
    [
      'an unknown field names itself and what is known',
      { topik: 1 },
      'Unknown field "subscription.topik"; known here: topic, ackDeadlineSeconds',
    ],
    ['an unknown field is refused even as null', { topik: null }, '"subscription.topik"'],
    ['an unknown nested field names its path', { retryPolicy: { max: '1s' } }, '"subscription.retryPolicy.max"'],
    ['a mixed spelling is unknown', { ack_deadlineSeconds: 1 }, '"subscription.ack_deadlineSeconds"'],
    ['a name of Object.prototype is unknown', { constructor: 1 }, '"subscription.constructor"'],
    ['an own __proto__ is unknown', JSON.parse('{"__proto__":{}}'), '"subscription.__proto__"'],
    ['both spellings at once', { ackDeadlineSeconds: 1, ack_deadline_seconds: 1 }, 'is given twice'],
    ['an array', [], 'subscription must be a JSON object, not an array'],
    ['a string', 'x', 'subscription must be a JSON object, not "x"'],
    ['a number for a string', { topic: 5 }, 'subscription.topic must be a string, not 5'],
    ['half a surrogate pair', { topic: '\ud800' }, 'subscription.topic holds half of a surrogate pair'],
    ['a string for a boolean', { detached: 'true' }, 'subscription.detached must be true or false, not "true"'],
    ['a fraction for an int32', { ackDeadlineSeconds: 1.5 }, 'must be a whole number (int32), not 1.5'],
    ['an int32 out of range', { ackDeadlineSeconds: 2 ** 31 }, 'must be a whole number (int32), not 2147483648'],
    ['words for an int32', { ackDeadlineSeconds: 'ten' }, 'must be a whole number (int32), not "ten"'],
    ['an empty string for an int32', { ackDeadlineSeconds: '' }, 'must be a whole number (int32), not ""'],
    ['an array for a map', { labels: [] }, 'must be an object whose values are strings, not an array'],
    ['a null value in a map', { labels: { a: null } }, 'subscription.labels["a"] must be a string, not null'],
    ['a number in a list', { ackIds: ['a', 3] }, 'subscription.ackIds[1] must be a string, not 3'],
    ['an object for a list', { ackIds: {} }, 'subscription.ackIds must be an array of strings, not an object'],
  ])('fields - %s', async (_, json, says) => {
    await expectRefusal(() => read(json), 'INVALID_ARGUMENT', says);
  });

  it('int32 - a number, a decimal string and an exponent are read', () => {
    const seconds = [20, '20', 2e1, '2e1', '20.0', '-5'].map((value) => read({ ackDeadlineSeconds: value }));
    expect(seconds.map((each) => each.ackDeadlineSeconds)).toEqual([20, 20, 20, 20, 20, -5]);
  });
});

describe('proto3 JSON durations', () => {
  it.each([
    ['600s', 600_000],
    ['1200.5s', 1_200_500],
    ['0.57s', 570],
    ['0.001s', 1],
    ['0.000999s', 0],
    ['-1.5s', -1500],
    ['315576000000s', 315_576_000_000_000],
  ])('duration - %s is %i ms', (json, ms) => {
    expect(durationMsFromJson(json, 'ttl')).toBe(ms);
  });

  it.each(['600', '600 s', '1h', 's', '.5s', '1.s', '1e3s', '', 600, {}])('duration - %j is refused', async (json) => {
    await expectRefusal(
      () => durationMsFromJson(json, 'ttl'),
      'INVALID_ARGUMENT',
      'ttl must be a duration in seconds such as "600s"',
    );
  });

  it('duration - whatever Headwater prints it reads again', () =>
    holds(
      fc.property(fc.integer({ min: 0, max: 31 * 86_400_000 }), (ms) => {
        expect(durationMsFromJson(durationToJson(ms), '')).toBe(ms);
      }),
    ));

  it('duration - whole seconds have no fraction, milliseconds three digits', () => {
    expect([604_800_000, 1_200_500, 0].map(durationToJson)).toEqual(['604800s', '1200.500s', '0s']);
  });
});

describe('proto3 JSON timestamps', () => {
  const at = Date.UTC(2026, 10, 21, 9, 30, 0);

  it.each([
    ['2026-11-21T09:30:00Z', at],
    ['2026-11-21T09:30:00.25Z', at + 250],
    ['2026-11-21T09:30:00.123456789Z', at + 123],
    ['2026-11-21T11:30:00+02:00', at],
    ['2026-11-21T04:00:00-05:30', at],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ])('timestamp - %s is read', (json, ms) => {
    expect(timestampMsFromJson(json, 'time')).toBe(ms);
  });

  it.each([
    '2026-02-29T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T23:59:60Z',
    '2026-13-01T00:00:00Z',
    '2026-11-21 09:30:00Z',
    '2026-11-21T09:30:00',
    '2026-11-21',
    'yesterday',
    '',
    1_700_000_000,
  ])('timestamp - %j is refused', async (json) => {
    await expectRefusal(() => timestampMsFromJson(json, 'time'), 'INVALID_ARGUMENT', 'time must be an RFC 3339 time');
  });

  it('timestamp - whatever Headwater prints it reads again', () =>
    holds(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (ms) => {
        expect(timestampMsFromJson(timestampToJson(ms), '')).toBe(ms);
      }),
    ));

  it('timestamp - a whole second has no fraction', () => {
    expect([at, at + 7].map(timestampToJson)).toEqual(['2026-11-21T09:30:00Z', '2026-11-21T09:30:00.007Z']);
  });
});

describe('proto3 JSON field masks', () => {
  it.each([
    ['', []],
    ['labels', ['labels']],
    ['ackDeadlineSeconds,retry_policy', ['ack_deadline_seconds', 'retry_policy']],
    ['labels, labels', ['labels']],
    ['retryPolicy.minimumBackoff', ['retry_policy.minimum_backoff']],
  ])('field mask - %j', (json, paths) => {
    expect(fieldMaskFromJson(json, 'updateMask')).toEqual(paths);
  });

  it.each(['a b', 'labels,', '*', 'labels;filter', ['labels'], { paths: ['labels'] }])(
    'field mask - %j is refused',
    async (json) => {
      await expectRefusal(() => fieldMaskFromJson(json, 'updateMask'), 'INVALID_ARGUMENT', 'updateMask');
    },
  );
});

describe('proto3 JSON bytes', () => {
  const urlSafe = (standard: string) => standard.replaceAll('+', '-').replaceAll('/', '_');
  const unpadded = (padded: string) => padded.replace(/=+$/, '');

  it('base64 - both alphabets, with and without padding, are the same bytes', () =>
    holds(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const standard = encodeBase64(bytes);
        for (const spelling of [standard, urlSafe(standard), unpadded(standard), unpadded(urlSafe(standard))]) {
          expect(Uint8Array.from(decodeBase64(spelling)!)).toEqual(bytes);
        }
      }),
    ));

  it('base64 - a character of no alphabet is refused wherever it stands', () =>
    holds(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 32 }),
        fc.nat(),
        fc.constantFrom(' ', '\n', '=', '!', '.', 'é', '€', '\0', '😀'),
        (bytes, at, junk) => {
          const good = unpadded(encodeBase64(bytes));
          const position = at % good.length; // never behind the end, where `=` is padding
          expect(decodeBase64(good.slice(0, position) + junk + good.slice(position))).toBeUndefined();
        },
      ),
    ));

  it.each(['A', 'AAAAA', 'AA=', 'AAA==', 'A===', '=', '==', 'AAAA='])('base64 - %j has the wrong length', (json) => {
    expect(decodeBase64(json)).toBeUndefined();
  });
});
