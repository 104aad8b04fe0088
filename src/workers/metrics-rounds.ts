import type { GroupMetrics, MetricFamily } from './messages.ts';

/** A member of the group, as far as metrics go. */
export interface Member {
  readonly number: number;
  readonly serving: boolean;
  readonly restarts: number;
  tell(order: { readonly kind: 'tell metrics'; readonly round: number }): void;
}

/** Past it the answer goes out without those who have not answered: a worker may hang, /metrics may not. */
const answerMs = 1000;

/**
 * Collects what every worker counts. One collection is under way at a time and serves all who asked meanwhile, so the
 * number of questions has a bound however often /metrics is asked for.
 */
export class MetricsRounds {
  readonly #members: readonly Member[];
  #round = 0;
  #answers: Map<number, readonly MetricFamily[]> | undefined;
  #asking = new Set<(group: GroupMetrics) => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  ask(answer: (group: GroupMetrics) => void): void {
    this.#asking.add(answer);
    if (this.#answers) return;
    this.#answers = new Map();
    this.#round++;
    this.#timer = setTimeout(() => this.#finish(), answerMs);
    for (const member of this.#expected()) member.tell({ kind: 'tell metrics', round: this.#round });
  }

  /** An answer to an older question is late, and dropped. */
  told(worker: number, round: number, families: readonly MetricFamily[]): void {
    if (!this.#answers || round !== this.#round) return;
    this.#answers.set(worker, families);
    if (this.#expected().every(({ number }) => this.#answers!.has(number))) this.#finish();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #expected(): Member[] {
    return this.#members.filter(({ serving }) => serving);
  }

  #finish(): void {
    clearTimeout(this.#timer);
    const answers = this.#answers;
    const asking = this.#asking;
    this.#answers = undefined;
    this.#asking = new Set();
    const workers = this.#members.map(({ number, restarts }) => {
      const families = answers?.get(number);
      return { worker: number, restarts, ...(families ? { families } : {}) };
    });
    for (const answer of asking) answer({ workers });
  }
}
