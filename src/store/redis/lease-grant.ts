import type { LeasedBlock, LeaseGrant } from '../store.ts';

type BlockReply = readonly [
  block: number,
  first: number,
  count: number,
  attempt: number,
  offsets: Buffer,
  attempts: Buffer,
];

/** What `scripts/lease.lua` returns. */
export type GrantReply = readonly [
  epoch: number,
  cursor: number,
  head: number,
  nextDueMs: number,
  limited: number,
  deadlineMs: number,
  more: number,
  generation: Buffer,
  ...blocks: BlockReply[],
];

export function readGrant(reply: GrantReply): { grant: LeaseGrant; limited: boolean } {
  const [epoch, cursor, head, nextDueMs, limited, deadlineMs, more, generation, ...blocks] = reply;
  const grant = {
    epoch,
    generation: generation.toString(),
    cursor,
    head,
    nextDueMs: nextDueMs || undefined,
    more: more === 1,
    blocks: blocks.map((block) => readBlock(block, deadlineMs)),
  };
  return { grant, limited: limited === 1 };
}

function readBlock([block, first, count, attempt, offsets, attempts]: BlockReply, deadlineMs: number): LeasedBlock {
  return {
    block,
    offsets: offsets.length === 0 ? consecutive(first, count) : readOffsets(offsets, first, count),
    attempts: attempts.length === 0 ? new Array<number>(count).fill(attempt) : readAttempts(attempts, count),
    deadlineMs,
  };
}

function consecutive(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

/** The low 32 bits of each; no block spans more. */
export function readOffsets(packed: Buffer, first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + ((packed.readUInt32BE(index * 4) - first) >>> 0));
}

function readAttempts(packed: Buffer, count: number): number[] {
  return Array.from({ length: count }, (_, index) => packed.readUInt16BE(index * 2));
}
