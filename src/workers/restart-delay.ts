export interface RestartBounds {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A worker that served for so long was sound: the next death starts from `firstMs` again. */
  readonly soundMs: number;
}

/** With these a worker is started at most 13 times in any minute, however it dies. */
export const restartBounds: RestartBounds = { firstMs: 100, maxMs: 30_000, soundMs: 60_000 };

/**
 * How long the place of a dead worker stays empty: doubled by every death, up to a bound, and shortened by up to half so
 * that workers that died together (of a Redis that was away, say) do not all come back at one instant.
 */
export class RestartDelay {
  readonly #random: () => number;
  readonly #bounds: RestartBounds;
  #deaths = 0;

  /** @param random 0 to 1, as `Math.random` */
  constructor(random: () => number, bounds = restartBounds) {
    this.#random = random;
    this.#bounds = bounds;
  }

  /** @param servedMs how long the worker that died had served; 0: it never did. */
  afterDeathMs(servedMs: number): number {
    const { firstMs, maxMs, soundMs } = this.#bounds;
    if (servedMs >= soundMs) this.#deaths = 0;
    const fullMs = Math.min(maxMs, firstMs * 2 ** this.#deaths);
    if (fullMs < maxMs) this.#deaths++;
    return fullMs * (1 - this.#random() / 2);
  }
}
