import type { Random } from './random.ts';

/** Growing waits between attempts: 200 ms, 400, 800 … up to 3 s, each shortened by up to half so that a fleet spreads out. */
export class Backoff {
  readonly #random: Random;
  readonly #firstMs: number;
  readonly #maxMs: number;
  #attempts = 0;

  constructor(random: Random, options: { readonly firstMs?: number; readonly maxMs?: number } = {}) {
    this.#random = random;
    this.#firstMs = options.firstMs ?? 200;
    this.#maxMs = options.maxMs ?? 3000;
  }

  nextMs(): number {
    const fullMs = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#attempts);
    if (fullMs < this.#maxMs) this.#attempts += 1;
    return fullMs * this.#random.between(0.5, 1);
  }

  reset(): void {
    this.#attempts = 0;
  }
}
