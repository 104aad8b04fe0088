import { readOffsets } from './lease-grant.ts';

const retryFlag = 1;
const offsetsFlag = 2;
const attemptsFlag = 4;
const statesFlag = 8;
const gone = '5'.charCodeAt(0);

/** The offsets that a block still holds, from its packed form in `scripts/block.lua`. */
export function unackedOfBlock(packed: Buffer): number[] {
  const flags = packed.readUInt8(0);
  const first = packed.readUIntBE(1, 6);
  const count = packed.readUInt32BE(7);
  let at = 13 + (flags & retryFlag ? 8 : 0);
  const offsets =
    flags & offsetsFlag
      ? readOffsets(packed.subarray(at), first, count)
      : Array.from({ length: count }, (_, i) => first + i);
  if (flags & offsetsFlag) at += count * 4;
  if (flags & attemptsFlag) at += count * 2;
  return flags & statesFlag ? offsets.filter((_, index) => packed[at + index] !== gone) : offsets;
}

/** The offsets that wait in a lane, from its packed form in `scripts/lanes.lua`. */
export function unackedOfLane(packed: Buffer): number[] {
  const returned = packed.readUInt32BE(8);
  const parked = packed.readUInt32BE(12);
  const at = 20;
  return [
    ...Array.from({ length: returned }, (_, index) => packed.readUIntBE(at + index * 8, 6)),
    ...Array.from({ length: parked }, (_, index) => packed.readUIntBE(at + returned * 8 + index * 6, 6)),
  ];
}

/** The offset of a member of `p`: it follows the lane. */
export function offsetOfParked(member: Buffer): number {
  return member.readUIntBE(4, 6);
}
