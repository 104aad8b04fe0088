import type { Logger } from './logger.ts';

/** Best last; a label of a metric, so the set is closed. */
export const worthLevels = ['unknown', 'memory', 'delayed', 'fsynced'] as const;

/** What a store says of itself. Structural, because telemetry knows none of the house's rooms. */
export interface StoreState {
  readonly writable: boolean;
  readonly level: (typeof worthLevels)[number];
  /** What an acknowledgement is worth, in plain words. */
  readonly durability: string;
  /** When not writable: what is wrong and what to do. */
  readonly problem?: string;
}

export interface StoreWatchOptions {
  /** Tries to write. It may never answer. */
  readonly ask: () => Promise<StoreState>;
  readonly logger: Logger;
  /** How long an answer may take; then the store counts as not writable until it comes. */
  readonly answerMsMax?: number;
  /** How often it is asked when nobody else asks. */
  readonly everyMs?: number;
}

const notAsked: StoreState = {
  writable: false,
  level: 'unknown',
  durability: 'unknown: the store has not answered yet',
  problem: 'The store has not answered yet.',
};

/**
 * Knows whether the store takes writes and what an acknowledgement is worth, and says so in the log when that changes: it
 * can while Headwater runs, for instance when somebody sets `appendfsync` on a Redis.
 *
 * Whoever asks gets an answer within a bound. A store that has not answered by then is asked no second time while the
 * first question is open, and counts as writable again as soon as it answers that.
 */
export class StoreWatch {
  readonly #ask: () => Promise<StoreState>;
  readonly #logger: Logger;
  readonly #answerMsMax: number;
  readonly #timer: NodeJS.Timeout;
  #last: StoreState | undefined;
  #closed = false;
  #open: Promise<StoreState> | undefined;

  constructor({ ask, logger, answerMsMax = 5000, everyMs = 10_000 }: StoreWatchOptions) {
    this.#ask = ask;
    this.#logger = logger;
    this.#answerMsMax = answerMsMax;
    this.#timer = setInterval(() => void this.check(), everyMs).unref();
  }

  /** As it was last seen. */
  get last(): StoreState {
    return this.#last ?? notAsked;
  }

  /** As it is now, within `answerMsMax`. Never rejects. */
  async check(): Promise<StoreState> {
    this.#open ??= this.#ask()
      .catch((error: unknown) => ({ ...this.last, writable: false, problem: `The store cannot be asked: ${error}` }))
      .then((state) => {
        this.#open = undefined;
        this.#note(state);
        return state;
      });
    let cancel = () => {};
    const late = new Promise<undefined>((resolve) => {
      const timer = setTimeout(resolve, this.#answerMsMax, undefined);
      cancel = () => clearTimeout(timer);
    });
    const state = await Promise.race([this.#open, late]);
    cancel();
    if (state) return state;
    this.#note({ ...this.last, writable: false, problem: this.#silence() });
    return this.last;
  }

  /** Says nothing more: a store that is being closed takes no writes, and that is no news. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #silence(): string {
    return `The store has not answered for ${this.#answerMsMax} ms; look after it, Headwater then goes on by itself.`;
  }

  #note(state: StoreState): void {
    const before = this.#last;
    this.#last = state;
    if (this.#closed) return;
    if (state.writable !== (before?.writable ?? true)) this.#sayWritable(state);
    if (state.level !== before?.level || state.durability !== before.durability) this.#sayWorth(state, before);
  }

  #sayWritable({ writable, problem }: StoreState): void {
    if (writable) this.#logger.info('the store takes writes again');
    else this.#logger.error({ problem }, 'the store takes no writes; until it does nothing is acknowledged');
  }

  #sayWorth({ level, durability }: StoreState, before: StoreState | undefined): void {
    const words = before ? 'what an acknowledgement is worth has changed' : 'what an acknowledgement is worth';
    const severity = level === 'fsynced' ? 'info' : 'warn';
    // Not `level`: that is how severe the line is.
    this.#logger[severity]({ worth: level, durability, ...(before && { before: before.level }) }, words);
  }
}
