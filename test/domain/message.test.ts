import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packRecords, unpackRecords } from '../../src/domain/batch.ts';
import { decodeRecord, encodeRecord, laneOfRecord, type Message } from '../../src/domain/message.ts';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';

const text = (maxLength: number) => fc.string({ unit: 'grapheme', maxLength });
const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    data: fc.uint8Array({ maxLength: 300 }),
    attributes: fc
      .array(
        fc.tuple(
          text(20).filter((key) => key !== '' && !key.startsWith('goog')),
          text(40),
        ),
        { maxLength: 5 },
      )
      .map((entries) => Object.fromEntries(entries)),
    orderingKey: text(20),
  })
  .filter(({ data, attributes }) => data.length > 0 || Object.keys(attributes).length > 0);
const message: Message = { data: Buffer.from('1'), attributes: {}, orderingKey: '' };
const attributes = (...entries: [string, string][]): Message => ({
  ...message,
  attributes: Object.fromEntries(entries),
});

describe('messages', () => {
  it('message - a record reads back as the message it was made of, in a batch too', async () => {
    await holds(
      fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 5 }), (messages) => {
        const bytes = packRecords(messages.map(encodeRecord));
        const records = unpackRecords({ firstOffset: 1, count: messages.length, publishMs: 0, bytes });
        const read = records.map(decodeRecord).map((one) => ({ ...one, data: Uint8Array.from(one.data) }));
        expect(read).toEqual(messages.map((one) => ({ ...one, data: Uint8Array.from(one.data) })));
      }),
    );
  });

  it('message - equal ordering keys share a lane that is never 0, and no key is lane 0', async () => {
    await holds(
      fc.property(anyMessage, anyMessage, (a, b) => {
        const lane = laneOfRecord(encodeRecord(a));
        expect(lane === 0).toBe(a.orderingKey === '');
        expect(laneOfRecord(encodeRecord({ ...b, orderingKey: a.orderingKey }))).toBe(lane);
      }),
    );
  });

  it.each<[string, Message, string]>([
    ['nothing at all', { ...message, data: Buffer.alloc(0) }, 'data or at least one attribute'],
    [
      '101 attributes',
      attributes(...Array.from({ length: 101 }, (_, i): [string, string] => [`k${i}`, ''])),
      '101 attributes',
    ],
    ['an empty key', attributes(['', 'v']), 'empty key'],
    ['a key of 257 bytes', attributes(['k'.repeat(257), 'v']), '257 bytes'],
    ['a reserved key', attributes(['googclient', 'v']), 'reserved'],
    ['a value of 1025 bytes', attributes(['k', 'é'.repeat(513)]), '1026 bytes'],
    ['an ordering key of 1025 bytes', { ...message, orderingKey: 'k'.repeat(1025) }, '1025 bytes'],
  ])('message - I9: %s is refused', async (_what, wrong, says) => {
    await expectRefusal(() => encodeRecord(wrong), 'INVALID_ARGUMENT', says);
  });

  it('message - takes each limit itself', () => {
    const entries = Array.from({ length: 100 }, (_, i): [string, string] => [`k${i}`, 'v'.repeat(1024)]);
    expect(() => encodeRecord(attributes(...entries))).not.toThrow();
    expect(() => encodeRecord(attributes(['k'.repeat(256), '']))).not.toThrow();
    expect(() => encodeRecord({ ...message, orderingKey: 'k'.repeat(1024) })).not.toThrow();
  });

  it('message - equal attributes are read back as one object that nobody can change, others never', () => {
    const read = (of: Record<string, string>) => decodeRecord(encodeRecord({ ...message, attributes: of })).attributes;
    const first = read({ ab: 'c', d: 'é' });
    expect(read({ ab: 'c', d: 'é' })).toBe(first);
    expect(Object.isFrozen(first)).toBe(true);
    expect(read({ a: 'bc', d: 'é' })).toEqual({ a: 'bc', d: 'é' });
    const large = { k: 'v'.repeat(600) };
    expect(read(large)).toEqual(large);
    for (let i = 0; i < 3000; i++) expect(read({ i: `${i}` })).toEqual({ i: `${i}` });
  });

  it('message - an attribute called __proto__ is only an attribute', () => {
    const record = encodeRecord({ ...message, attributes: JSON.parse('{"__proto__":"x","constructor":"y"}') });
    expect(Object.entries(decodeRecord(record).attributes)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });
});
