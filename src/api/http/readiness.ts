import { secondMs } from '../../domain/duration.ts';
import type { StoreHealth } from '../../store/store.ts';

/** Each answer is a real write to the store, so however many ask, one answer serves for so long. */
const answerMs = secondMs;

/** Whether the store takes writes, by trying. */
export class Readiness {
  readonly #health: () => Promise<StoreHealth>;
  readonly #clock: () => number;
  #answer: Promise<StoreHealth> | undefined;
  #askedMs = 0;
  #writes = 0;

  constructor(health: () => Promise<StoreHealth>, clock: () => number) {
    this.#health = health;
    this.#clock = clock;
  }

  /** Writes made so far. */
  get writes(): number {
    return this.#writes;
  }

  /** The answer under way, or one that is not older than `answerMs`. Never rejects. */
  check(): Promise<StoreHealth> {
    const nowMs = this.#clock();
    if (!this.#answer || Math.abs(nowMs - this.#askedMs) >= answerMs) {
      this.#askedMs = nowMs;
      this.#writes++;
      this.#answer = this.#health();
    }
    return this.#answer;
  }
}
