import type { Logger } from '../../telemetry/logger.ts';
import type { PushOutcome } from './push-sender.ts';

/** How a subscription's endpoint does, as this node sees it. */
export interface PushHealth {
  readonly endpoint: string;
  /** untried: no request was answered for yet. failing: the last one that was sent failed. */
  readonly state: 'untried' | 'working' | 'failing';
  /** Requests under way, and how many there may be. */
  readonly requestsOpen: number;
  readonly requestsMax: number;
  /** Rest before the next request; 0 when there is none. */
  readonly backOffMs: number;
  readonly lastSuccessMs: number | undefined; // Unix epoch
  readonly lastFailure: { readonly atMs: number; readonly detail: string } | undefined;
}

/** From this rest on the log says that an endpoint fails; below it, it is only counted. */
const worthALineMs = 1000;

/** What one endpoint answered last, and the lines about it in the log: one when it fails for long, one when it is back. */
export class EndpointHealth {
  readonly #clock: () => number;
  readonly #logger: Logger;
  #state: PushHealth['state'] = 'untried';
  #lastSuccessMs: number | undefined;
  #lastFailure: PushHealth['lastFailure'];
  #complained = false;

  constructor(clock: () => number, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get seen(): Pick<PushHealth, 'state' | 'lastSuccessMs' | 'lastFailure'> {
    return { state: this.#state, lastSuccessMs: this.#lastSuccessMs, lastFailure: this.#lastFailure };
  }

  succeeded(subscription: string, endpoint: string): void {
    this.#state = 'working';
    this.#lastSuccessMs = this.#clock();
    if (!this.#complained) return;
    this.#complained = false;
    this.#logger.info({ subscription, endpoint: withoutQuery(endpoint) }, 'the push endpoint takes messages again');
  }

  /** @param backOffMs the rest that followed. */
  failed(subscription: string, endpoint: string, { detail }: PushOutcome, backOffMs: number): void {
    this.#state = 'failing';
    this.#lastFailure = { atMs: this.#clock(), detail };
    if (this.#complained || backOffMs < worthALineMs) return;
    this.#complained = true;
    this.#logger.warn(
      { subscription, endpoint: withoutQuery(endpoint), failure: detail },
      'the push endpoint does not take messages; they stay in the subscription and are tried again',
    );
  }
}

/** Queries may hold credentials. */
function withoutQuery(endpoint: string): string {
  return endpoint.split('?', 1)[0]!;
}
