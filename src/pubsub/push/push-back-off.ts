export interface PushBackOffOptions {
  readonly pushFailuresBeforeRest: number;
  readonly pushBackOffMsMin: number;
  readonly pushBackOffMsMax: number;
  readonly clock: () => number;
}

/**
 * How long a subscription rests because its endpoint fails; the retry policy's backoff of each message comes on top.
 *
 *     well ──several failures in a row─► resting 100 ms ──failure of what was sent since──► twice as long, up to 60 s
 *       ▲                                     │
 *       └────────────any success──────────────┘
 *
 * A failure among successes is the message's own affair: only when nothing succeeds any more is the endpoint at fault.
 * Requests that were under way together fail together, so a rest is made longer only by what was sent after it began.
 */
export class PushBackOff {
  readonly #options: PushBackOffOptions;
  #failuresInARow = 0;
  #round = 0;
  #waitMs = 0;
  #untilMs = 0;

  constructor(options: PushBackOffOptions) {
    this.#options = options;
  }

  /** For `failed`: when a request is sent. */
  get round(): number {
    return this.#round;
  }

  /** Still to wait; 0 when nothing is in the way. */
  get restMs(): number {
    return Math.max(0, this.#untilMs - this.#options.clock());
  }

  /** How long the rest is that the last failure brought; 0 after a success. */
  get waitMs(): number {
    return this.#waitMs;
  }

  succeeded(): void {
    this.#failuresInARow = 0;
    this.#waitMs = 0;
    this.#untilMs = 0;
  }

  /** @param round in which the request was sent. @returns whether a rest begins */
  failed(round: number): boolean {
    const { pushFailuresBeforeRest, pushBackOffMsMin, pushBackOffMsMax, clock } = this.#options;
    this.#failuresInARow++;
    if (this.#failuresInARow < pushFailuresBeforeRest || round !== this.#round) return false;
    this.#round++;
    this.#waitMs = Math.min(Math.max(this.#waitMs * 2, pushBackOffMsMin), pushBackOffMsMax);
    this.#untilMs = clock() + this.#waitMs;
    return true;
  }
}
