export interface PushWindowOptions {
  readonly pushWindowStart: number;
  readonly pushWindowMax: number;
  readonly pushSlowMs: number;
}

/**
 * How many requests of a subscription may be under way: the slow start of cloud.google.com/pubsub/docs/push. It begins
 * with few, grows by one with each success (so it doubles with each round of requests), halves with a failure, and an
 * answer that takes long takes back one at a time what is beyond the start.
 */
export class PushWindow {
  readonly #options: PushWindowOptions;
  #size: number;

  constructor(options: PushWindowOptions) {
    this.#options = options;
    this.#size = options.pushWindowStart;
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  succeeded(latencyMs: number): void {
    const { pushWindowStart, pushWindowMax, pushSlowMs } = this.#options;
    if (latencyMs <= pushSlowMs) this.#size = Math.min(this.#size + 1, pushWindowMax);
    else if (this.#size > pushWindowStart) this.#size--;
  }

  failed(): void {
    this.#size = Math.max(1, this.#size / 2);
  }
}
