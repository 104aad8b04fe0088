import type { IncomingMessage, ServerResponse } from 'node:http';
import { Exchange } from './exchange.ts';

/** The exchanges that are open, and a count of those that were, by method and status. */
export class Exchanges {
  readonly #open = new Set<Exchange>();
  readonly #countByOutcome = new Map<string, number>();
  #whenIdle: (() => void)[] = [];

  get open(): number {
    return this.#open.size;
  }

  /** Answered requests, by `{method id} {HTTP status}`; as many entries as methods have ways to end. */
  get countByOutcome(): ReadonlyMap<string, number> {
    return this.#countByOutcome;
  }

  /** @param methodId asked when it is over: which method it turned out to be. */
  begin(request: IncomingMessage, response: ServerResponse, methodId: () => string): Exchange {
    const exchange = new Exchange(request, response);
    this.#open.add(exchange);
    exchange.onEnd(() => {
      this.#open.delete(exchange);
      const outcome = `${methodId()} ${response.statusCode}`;
      this.#countByOutcome.set(outcome, (this.#countByOutcome.get(outcome) ?? 0) + 1);
      if (this.#open.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    });
    return exchange;
  }

  /** Resolves once none is open. */
  idle(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }
}
