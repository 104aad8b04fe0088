import { PubSubError } from '../../domain/errors.ts';

/** One pull that waits; `signal` tells it to answer with what it has. */
export interface LongPoll {
  readonly signal: AbortSignal;
  /** Its client is gone. */
  abort(): void;
  /** It has its answer; must be called. */
  leave(): void;
}

/** The requests that wait for messages: bounded in time and, for the whole server, in number. */
export class LongPolls {
  readonly #countMax: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<AbortController>();
  #refused = 0;
  #closed = false;

  constructor(limits: { readonly pullsWaitingMax: number; readonly pullWaitMs: number }) {
    this.#countMax = limits.pullsWaitingMax;
    this.#waitMs = limits.pullWaitMs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get refused(): number {
    return this.#refused;
  }

  /** @throws PubSubError RESOURCE_EXHAUSTED as many as may are waiting already. */
  enter(): LongPoll {
    if (this.#waiting.size >= this.#countMax) throw this.#refuse();
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, this.#waitMs);
    this.#waiting.add(controller);
    if (this.#closed) abort();
    const leave = () => {
      clearTimeout(timer);
      this.#waiting.delete(controller);
    };
    return { signal: controller.signal, abort, leave };
  }

  /** The server is closing: everyone that waits gets an answer now, and so does everyone that comes. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#waiting) controller.abort();
  }

  #refuse(): PubSubError {
    this.#refused++;
    return new PubSubError(
      'RESOURCE_EXHAUSTED',
      `${this.#countMax} pulls wait on this server already, the most that may; try again later, or pull with fewer clients.`,
    );
  }
}
