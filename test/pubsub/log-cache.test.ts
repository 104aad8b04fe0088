import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packRecords } from '../../src/domain/batch.ts';
import { LogBatch } from '../../src/pubsub/log-batch.ts';
import { LogCache } from '../../src/pubsub/log-cache.ts';
import { holds } from '../support/property.ts';

/** `sizes` are record counts: batches of dense offsets from 1 on. */
function batchesOf(sizes: readonly number[], recordBytes: number): LogBatch[] {
  let firstOffset = 1;
  return sizes.map((count) => {
    const bytes = packRecords(Array.from({ length: count }, () => Buffer.alloc(recordBytes, firstOffset)));
    const batch = new LogBatch({ firstOffset, count, publishMs: 0, bytes });
    firstOffset += count;
    return batch;
  });
}

describe('log cache', () => {
  it('log cache - I8: whatever is added in whatever order, it finds the right batch or none, and keeps its bound', async () => {
    const bytesMax = 20_000;
    const visit = fc.tuple(fc.constantFrom('a/0', 'b/0', 'b/1'), fc.nat(39));
    await holds(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 40, maxLength: 40 }),
        fc.integer({ min: 1, max: 500 }),
        fc.array(visit, { maxLength: 200 }),
        (sizes, recordBytes, visits) => {
          const batches = batchesOf(sizes, recordBytes);
          const cache = new LogCache(bytesMax);
          for (const [key, index] of visits) {
            const batch = batches[index]!;
            cache.add(key, batch);
            for (const offset of [batch.firstOffset, batch.endOffset - 1]) expect(cache.find(key, offset)).toBe(batch);
            const other = batches[(index * 7) % 40]!;
            expect([other, undefined]).toContain(cache.find(key, other.firstOffset));
            expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
          }
        },
      ),
    );
  });

  it('log cache - lets go of what was not used for longest', () => {
    const batches = batchesOf(new Array(40).fill(1), 1000);
    const cache = new LogCache(20_000);
    cache.add('a/0', batches[0]!);
    for (const batch of batches.slice(10)) {
      cache.add('a/0', batch);
      expect(cache.find('a/0', 1)).toBe(batches[0]);
    }
    expect(cache.find('a/0', 11)).toBeUndefined();
    expect(cache.evictions).toBeGreaterThan(0);
  });

  it('log cache - does not keep a batch that would push out most of the others', () => {
    const [large] = batchesOf([1], 15_000);
    const cache = new LogCache(20_000);
    cache.add('a/0', large!);
    expect(cache.find('a/0', 1)).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });
});
