/** 2^-32: turns an unsigned 32-bit integer into a fraction of 1. */
const unit = 2 ** -32;

/**
 * A small seeded generator: xoshiro128** (Blackman and Vigna 2018), its state filled by splitmix32. Integer arithmetic
 * only, so that one seed gives one sequence on every machine. Not for secrets.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /**
   * @param seed any safe integer.
   * @param stream what the numbers are for (a purpose, a device index): different streams of a seed are unrelated.
   */
  constructor(seed: number, ...stream: readonly number[]) {
    let state = 0;
    const absorb = (word: number): void => {
      state = scramble((state + 0x9e3779b9 + (word >>> 0)) >>> 0);
    };
    absorb(seed);
    absorb(Math.floor(seed * unit));
    for (const word of stream) absorb(word);
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      return scramble(state);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1; // an all-zero state would stay zero for ever
  }

  /** 0..2^32-1 */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const carried = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= carried;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** In [0, 1). */
  fraction(): number {
    return this.uint32() * unit;
  }

  /** In [low, high). */
  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** 0..count-1 */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  /**
   * Bell-shaped, mean 0, variance 1: the sum of four uniform numbers (Irwin-Hall), never beyond ±3.47. Unlike the usual
   * Box-Muller it needs no logarithm or cosine, whose last bits a platform may choose.
   */
  noise(): number {
    return (this.fraction() + this.fraction() + this.fraction() + this.fraction() - 2) * Math.sqrt(3);
  }
}

/** splitmix32's output function. */
function scramble(word: number): number {
  let z = word;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
