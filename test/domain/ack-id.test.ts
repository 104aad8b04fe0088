import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AckId, ackIdPrefix, formatAckId, parseAckId } from '../../src/domain/ack-id.ts';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';

const format = (id: AckId) =>
  formatAckId(ackIdPrefix(id.subscriptionId, id.partition, id.epoch, id.block), id.index, id.offset, id.attempt);
const sample: AckId = {
  subscriptionId: 's1',
  partition: 0,
  epoch: 1,
  block: 35,
  index: 36,
  offset: 2 ** 40,
  attempt: 1,
};

describe('ack ids', () => {
  it('ack id - reads back as what it was made of', async () => {
    const number = fc.oneof(fc.nat(100), fc.maxSafeNat());
    const ackId = fc.record({
      subscriptionId: fc.string({ minLength: 1, maxLength: 40 }),
      partition: number,
      epoch: number,
      block: number,
      index: number,
      offset: number,
      attempt: number,
    });
    await holds(
      fc.property(ackId, (id) => {
        expect(parseAckId(format(id))).toEqual(id);
      }),
    );
  });

  it('ack id - a changed text is another ack id or none, never the same', async () => {
    const text = format(sample);
    await holds(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('', '0', 'z', '.', 'A', ' '), (at, put) => {
        const changed = text.slice(0, at) + put + text.slice(at + 1);
        fc.pre(changed !== text);
        try {
          expect(parseAckId(changed)).not.toEqual(sample);
        } catch (error) {
          expect(error).toHaveProperty('code', 'INVALID_ARGUMENT');
        }
      }),
    );
  });

  it.each([
    '',
    'x',
    '.',
    's1',
    's1.0.1.z.10.5',
    '.0.1.z.10.5.1',
    's1.0.1.z.10.5.',
    's1.0.1.z.10.05.1',
    's1.0.1.z.10.-5.1',
    's1.0.1.Z.10.5.1',
    's1.0.1.z.10.5.1 ',
    's1.0.1.z.10.2gosa7pa2gw.1', // one past the largest safe integer
  ])('ack id - I9: refuses %j', async (text) => {
    await expectRefusal(() => parseAckId(text), 'INVALID_ARGUMENT', 'not an ack id', 'exactly as they were received');
  });

  it('ack id - I9: refuses one that is longer than any real one', async () => {
    const text = `${'s'.repeat(600)}.0.1.z.10.5.1`;
    await expectRefusal(() => parseAckId(text), 'INVALID_ARGUMENT', '(613 characters)');
  });
});
