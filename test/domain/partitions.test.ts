import { describe, expect, it } from 'vitest';
import { checkPartitions, partitionOfKey, partitionsByLabel, partitionsLabel } from '../../src/domain/partitions.ts';
import { expectRefusal } from '../support/refusal.ts';

describe('partitions', () => {
  it('partitions - a topic has 1 to 256', async () => {
    for (const partitions of [1, 256]) expect(() => checkPartitions(partitions)).not.toThrow();
    for (const partitions of [0, 257, 1.5, Number.NaN]) {
      await expectRefusal(() => checkPartitions(partitions), 'INVALID_ARGUMENT', '1 to 256');
    }
  });

  it('partitions - the label asks for them; without it nothing is asked', () => {
    expect(partitionsByLabel({ [partitionsLabel]: '1' })).toBe(1);
    expect(partitionsByLabel({ [partitionsLabel]: '256', team: 'river' })).toBe(256);
    expect(partitionsByLabel({ team: 'river' })).toBeUndefined();
  });

  it.each(['', '0', '257', '04', '1e1', 'many', '-1', '1000'])(
    'partitions - I9: the label %j is refused',
    async (text) => {
      await expectRefusal(() => partitionsByLabel({ [partitionsLabel]: text }), 'INVALID_ARGUMENT', '1 to 256');
    },
  );

  it('partitions - a key stays where earlier releases placed it', () => {
    // FNV-1a, computed by another program; a change of the hash would part keys from their messages.
    expect(['', 'a', 'thermo-1', 'é'].map((key) => partitionOfKey(key, 256))).toEqual([197, 44, 104, 68]);
    expect(partitionOfKey('thermo-1', 1)).toBe(0);
  });
});
