import { randomUUID } from 'node:crypto';
import { offsetOfParked, unackedOfBlock, unackedOfLane } from './lease-block.ts';
import type { Link } from './link.ts';
import type { StateKeys } from './subscription-state-keys.ts';

/** The acked runs that a restore steps over, ready in a list of their own. */
export interface RestoredRanges {
  readonly key: string;
  /** How many offsets they hold; 0: the list does not exist. */
  readonly offsets: number;
}

const pageSize = 1000;
/** A list that its restore never took is gone after this. */
const listExpiresMs = 600_000;
const rangeBytes = 12;

interface Range {
  readonly first: number;
  readonly count: number;
}

/**
 * Works out what a snapshot has acked past its first unacked message: everything up to its cursor that no block and no
 * lane holds, and what was acked past the cursor already. A snapshot never changes, so this reads it in pieces,
 * and neither Redis nor anybody's script waits; the restore itself then only renames the list.
 */
export async function restoredRanges(link: Link, snapshot: StateKeys, target: StateKeys): Promise<RestoredRanges> {
  const key = `${target.a}:${randomUUID()}`;
  const state = (await link.command('GET', snapshot.s)) as Buffer | null;
  if (!state) return { key, offsets: 0 }; // deleted: the restore says so
  const cursor = state.readDoubleBE(0);
  const first = firstUnackedOfSnapshot(state);
  const unacked = await unackedOffsets(link, snapshot);
  const ranges = [...rangesBetween(first, cursor, unacked), ...(await rangesPast(link, snapshot))];
  for (let from = 0; from < ranges.length; from += pageSize) {
    await link.command('RPUSH', key, ...ranges.slice(from, from + pageSize).map(packRange));
    await link.command('PEXPIRE', key, listExpiresMs);
  }
  return { key, offsets: ranges.reduce((sum, { count }) => sum + count, 0) };
}

/** @param state of the snapshot, as `scripts/snapshot.lua` leaves it */
export function firstUnackedOfSnapshot(state: Buffer): number {
  return state.readDoubleBE(80);
}

async function unackedOffsets(link: Link, { b, q, p }: StateKeys): Promise<Float64Array> {
  const offsets: number[] = [];
  const add = (found: readonly number[]) => {
    for (const offset of found) offsets.push(offset);
  };
  await eachPair(link, 'HSCAN', b, (_, block) => add(unackedOfBlock(block)));
  await eachPair(link, 'HSCAN', q, (_, lane) => add(unackedOfLane(lane)));
  await eachPair(link, 'ZSCAN', p, (member) => add([offsetOfParked(member)]));
  return Float64Array.from(offsets).sort();
}

async function eachPair(
  link: Link,
  command: 'HSCAN' | 'ZSCAN',
  key: string,
  take: (name: Buffer, value: Buffer) => void,
): Promise<void> {
  let cursor = '0';
  do {
    const reply = (await link.command(command, key, cursor, 'COUNT', pageSize)) as [Buffer, Buffer[]];
    cursor = reply[0].toString();
    for (let at = 0; at < reply[1].length; at += 2) take(reply[1][at]!, reply[1][at + 1]!);
  } while (cursor !== '0');
}

/** @param unacked sorted; a scan may give some twice */
function rangesBetween(first: number, end: number, unacked: Float64Array): Range[] {
  const ranges: Range[] = [];
  let next = first;
  for (const offset of unacked) {
    if (offset > next) ranges.push({ first: next, count: offset - next });
    next = Math.max(next, offset + 1);
  }
  if (end > next) ranges.push({ first: next, count: end - next });
  return ranges;
}

async function rangesPast(link: Link, { a }: StateKeys): Promise<Range[]> {
  const ranges: Range[] = [];
  for (let from = 0; ; from += pageSize) {
    const page = (await link.command('LRANGE', a, from, from + pageSize - 1)) as Buffer[];
    for (const packed of page) ranges.push({ first: packed.readUIntBE(0, 6), count: packed.readUIntBE(6, 6) });
    if (page.length < pageSize) return ranges;
  }
}

function packRange({ first, count }: Range): Buffer {
  const packed = Buffer.allocUnsafe(rangeBytes);
  packed.writeUIntBE(count, packed.writeUIntBE(first, 0, 6), 6);
  return packed;
}
