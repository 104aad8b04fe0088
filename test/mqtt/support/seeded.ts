/** Random numbers that one number repeats: `SEED=… npm test`. */
export class Seeded {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** 0 <= n < bound, whole (mulberry32). */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: T[]): T {
    return from.splice(this.below(from.length), 1)[0]!;
  }
}
