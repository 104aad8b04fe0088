/** Offsets per chunk of the bitmap. */
const chunkOffsets = 4096;
const chunkBytes = chunkOffsets / 8;
const fullBits = new Uint8Array(chunkBytes).fill(255);

interface Chunk {
  /** Shared by all chunks that are full, so that a stuck message at the watermark costs no memory behind it. */
  bits: Uint8Array;
  count: number;
}

/**
 * Which offsets of a partition a subscription has acked: everything before the watermark, and the set bits from it on.
 * Acks in order only move the watermark; a chunk exists only where acks ran ahead of it. Bits below the watermark mean
 * nothing. The set remembers which chunks changed, so that one commit writes a few hundred bytes however much it acks.
 */
export class AckedSet {
  #watermark: number;
  #ahead = 0;
  readonly #chunks = new Map<number, Chunk>();
  readonly #dirty = new Set<number>();

  constructor(watermark: number) {
    this.#watermark = watermark;
  }

  /** First offset that is not acked. */
  get watermark(): number {
    return this.#watermark;
  }

  /** How many offsets past the watermark are acked. */
  get ahead(): number {
    return this.#ahead;
  }

  has(offset: number): boolean {
    if (offset < this.#watermark) return true;
    const chunk = this.#chunks.get(Math.floor(offset / chunkOffsets));
    return chunk !== undefined && hasBit(chunk.bits, offset % chunkOffsets);
  }

  /** @returns false when it was acked before. */
  add(offset: number): boolean {
    if (this.has(offset)) return false;
    if (offset === this.#watermark) this.#moveTo(offset + 1);
    else this.#setBit(offset);
    return true;
  }

  /** Acks everything before `offset`. */
  addBefore(offset: number): void {
    if (offset <= this.#watermark) return;
    this.#moveTo(offset);
    this.#ahead = 0;
    for (const [number, chunk] of this.#chunks) this.#ahead += countFrom(chunk.bits, this.#watermark, number);
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** The chunks that changed since the last call; undefined: it is gone. */
  takeDirty(): Map<number, Uint8Array | undefined> {
    const dirty = new Map<number, Uint8Array | undefined>();
    for (const number of this.#dirty) dirty.set(number, this.#chunks.get(number)?.bits);
    this.#dirty.clear();
    return dirty;
  }

  chunks(): (readonly [number: number, bits: Uint8Array])[] {
    return [...this.#chunks].map(([number, chunk]) => [number, chunk.bits] as const);
  }

  loadChunk(number: number, bits: Uint8Array): void {
    const count = countFrom(bits, 0, number);
    this.#chunks.set(number, { bits: count === chunkOffsets ? fullBits : Uint8Array.from(bits), count });
    this.#ahead += countFrom(bits, this.#watermark, number);
  }

  #setBit(offset: number): void {
    const number = Math.floor(offset / chunkOffsets);
    let chunk = this.#chunks.get(number);
    if (!chunk) {
      chunk = { bits: new Uint8Array(chunkBytes), count: 0 };
      this.#chunks.set(number, chunk);
    }
    const bit = offset % chunkOffsets;
    chunk.bits[bit >> 3]! |= 1 << (bit & 7);
    chunk.count++;
    if (chunk.count === chunkOffsets) chunk.bits = fullBits;
    this.#ahead++;
    this.#dirty.add(number);
  }

  /** Moves the watermark there, over the acked offsets that follow, and drops the chunks it leaves behind. */
  #moveTo(offset: number): void {
    const before = Math.floor(this.#watermark / chunkOffsets);
    let next = offset;
    this.#watermark = next;
    while (this.#ahead > 0 && this.has(next)) {
      next++;
      this.#ahead--;
      this.#watermark = next;
    }
    if (Math.floor(next / chunkOffsets) > before) this.#dropBelow(Math.floor(next / chunkOffsets));
  }

  #dropBelow(first: number): void {
    for (const number of this.#chunks.keys()) {
      if (number >= first) continue;
      this.#chunks.delete(number);
      this.#dirty.add(number);
    }
  }
}

function hasBit(bits: Uint8Array, bit: number): boolean {
  return (bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
}

/** Set bits of chunk `number` at or after `offset`. */
function countFrom(bits: Uint8Array, offset: number, number: number): number {
  let count = 0;
  for (let bit = Math.max(0, offset - number * chunkOffsets); bit < chunkOffsets; bit++) {
    if (hasBit(bits, bit)) count++;
  }
  return count;
}
