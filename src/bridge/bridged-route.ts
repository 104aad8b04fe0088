import { PubSubError } from '../domain/errors.ts';
import type { Route } from '../domain/route.ts';

export interface RouteCounters {
  readonly name: string;
  /** Messages that the route took: stored + refused + failed + those on their way. */
  readonly matched: number;
  readonly stored: number;
  /** Can never be stored as they are: a capture, a limit, a topic that does not exist. */
  readonly refused: number;
  /** Not stored, or unknown; the device sends them again. */
  readonly failed: number;
}

/** A route at work: its rule, and what became of the messages that it took. */
export class BridgedRoute {
  readonly rule: Route;
  #matched = 0;
  #stored = 0;
  #refused = 0;
  #failed = 0;

  constructor(rule: Route) {
    this.rule = rule;
  }

  counters(): RouteCounters {
    const { name } = this.rule;
    return { name, matched: this.#matched, stored: this.#stored, refused: this.#refused, failed: this.#failed };
  }

  /** Counts a message that was refused before anything was appended. */
  refuse(): void {
    this.#matched++;
    this.#refused++;
  }

  /** Counts a message and what becomes of its append; made for the hot path: no closure per message. */
  settle(appended: Promise<void>): Promise<void> {
    this.#matched++;
    return appended.then(this.#onStored, this.#onFailure);
  }

  readonly #onStored = (): void => {
    this.#stored++;
  };

  readonly #onFailure = (error: unknown): never => {
    const told = this.#explain(error);
    if (isRefusal(told)) this.#refused++;
    else this.#failed++;
    throw told;
  };

  /** A device cannot tell one missing topic from another, nor wait for it: for the device it is a refusal. */
  #explain(error: unknown): unknown {
    if (!(error instanceof PubSubError) || error.code !== 'NOT_FOUND') return error;
    const message = `Route "${this.rule.name}" leads to a topic that is missing: ${error.message} Create it, or change the route.`;
    return new PubSubError('INVALID_ARGUMENT', message, { cause: error });
  }
}

/** True when the same message will never be stored; anything else is worth another try. */
export function isRefusal(error: unknown): boolean {
  return error instanceof PubSubError && error.code === 'INVALID_ARGUMENT';
}
