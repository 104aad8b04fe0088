import type { Logger } from '../../telemetry/logger.ts';
import { EndpointHealth, type PushHealth } from './endpoint-health.ts';
import { PushBackOff } from './push-back-off.ts';
import type { PushBounds } from './push-bounds.ts';
import type { PushOutcome } from './push-sender.ts';
import { PushWindow } from './push-window.ts';
import type { PushedSubscription } from './pushed-subscription.ts';

interface Parts {
  readonly clock: () => number;
  readonly logger: Logger;
  readonly bounds: PushBounds;
}

/** What a subscription has learned of the endpoint that it pushes to; another endpoint is another target. */
export class PushTarget {
  readonly #window: PushWindow;
  readonly #backOff: PushBackOff;
  readonly #health: EndpointHealth;

  constructor({ bounds, clock, logger }: Parts) {
    this.#window = new PushWindow(bounds);
    this.#backOff = new PushBackOff({ ...bounds, clock });
    this.#health = new EndpointHealth(clock, logger);
  }

  /** How many requests may be under way. */
  get requestsMax(): number {
    return this.#window.size;
  }

  /** Still to wait before the next request. */
  get restMs(): number {
    return this.#backOff.restMs;
  }

  get seen(): Pick<PushHealth, 'state' | 'lastSuccessMs' | 'lastFailure'> {
    return this.#health.seen;
  }

  /** Before a request is sent. @returns how to say what became of it; that answers whether a rest begins */
  sending({ name, push }: PushedSubscription): (outcome: PushOutcome, latencyMs: number) => boolean {
    const { round } = this.#backOff;
    return (outcome, latencyMs) => {
      if (outcome.class === 'cut') return false;
      if (outcome.class === 'ack') {
        this.#window.succeeded(latencyMs);
        this.#backOff.succeeded();
        this.#health.succeeded(name, push.endpoint);
        return false;
      }
      this.#window.failed();
      const rests = this.#backOff.failed(round);
      this.#health.failed(name, push.endpoint, outcome, this.#backOff.waitMs);
      return rests;
    };
  }
}
