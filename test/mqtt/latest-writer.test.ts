import { describe, expect, it } from 'vitest';
import { LatestWriter } from '../../src/mqtt/latest-writer.ts';
import { MemoryTable } from './support/memory-table.ts';

describe('mqtt latest writer', () => {
  it('never lets a write overtake an earlier one of its key, and writes the latest of those that wait', async () => {
    const table = new MemoryTable<number>();
    const running: (() => void)[] = [];
    const written: (number | undefined)[] = [];
    table.beforeWrite = () => new Promise((resolve) => running.push(resolve));
    const writer = new LatestWriter(table);
    const done = [1, 2, undefined, 4].map((value) => writer.write('a', value).then(() => written.push(value)));
    const other = writer.write('b', 9);
    expect(running).toHaveLength(2);
    for (const write of running.splice(0)) write();
    await other;
    await done[0];
    expect(table.rows.get('a')).toBe(1);
    running.shift()!();
    await Promise.all(done);
    expect([written, table.rows.get('a'), running]).toEqual([[1, 2, undefined, 4], 4, []]);
  });

  it('goes on after a write that failed, and tells its caller', async () => {
    const table = new MemoryTable<number>();
    const writer = new LatestWriter(table);
    let failures = 1;
    table.beforeWrite = async () => {
      if (failures-- > 0) throw new Error('disk full');
    };
    const first = writer.write('a', 1);
    const second = writer.write('a', 2);
    await expect(first).rejects.toThrow('disk full');
    await second;
    await writer.idle();
    expect(table.rows.get('a')).toBe(2);
  });

  it('is idle when nothing is left to write', async () => {
    const table = new MemoryTable<number>();
    const writer = new LatestWriter(table);
    void writer.write('a', 1);
    void writer.write('a', 2);
    void writer.write('b', undefined);
    await writer.idle();
    expect([...table.rows]).toEqual([['a', 2]]);
  });
});
