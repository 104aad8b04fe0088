import type { Exchange } from './exchange.ts';

/** The exchanges of one transport that are open, and a count of those that were, by outcome. */
export class Exchanges {
  readonly #open = new Set<Exchange>();
  readonly #countByOutcome = new Map<string, number>();
  #whenIdle: (() => void)[] = [];

  get open(): number {
    return this.#open.size;
  }

  /** Ended exchanges, by `{method} {status}`; as many entries as methods have ways to end. */
  get countByOutcome(): ReadonlyMap<string, number> {
    return this.#countByOutcome;
  }

  /** @param outcome asked when it is over: `{method} {status}`. */
  begin(exchange: Exchange, outcome: () => string): void {
    this.#open.add(exchange);
    exchange.onEnd(() => {
      this.#open.delete(exchange);
      const how = outcome();
      this.#countByOutcome.set(how, (this.#countByOutcome.get(how) ?? 0) + 1);
      if (this.#open.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    });
  }

  /** Resolves once none is open. */
  idle(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }
}
