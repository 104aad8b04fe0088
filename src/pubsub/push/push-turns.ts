import type { Schedule } from '../schedule.ts';

export interface PushTurnsOptions {
  readonly pushRequestsMax: number;
  readonly pushBytesMax: number;
  readonly schedule: Schedule;
}

/** One subscription, as far as it takes part. */
export interface PushShare {
  requests: number;
  bytes: number;
}

/**
 * What this node spends on pushing, shared by its subscriptions so that a slow endpoint does not stop the others (I8).
 * Each subscription that is busy may have an equal share of the requests and bytes, at least one request; those that
 * have more when others come along give it up as their requests end. Where there are more busy subscriptions than
 * requests, they wait in line.
 */
export class PushTurns {
  readonly #options: PushTurnsOptions;
  readonly #busy = new Set<PushShare>();
  readonly #line = new Set<() => void>();
  #requests = 0;
  #bytes = 0;

  constructor(options: PushTurnsOptions) {
    this.#options = options;
  }

  counters() {
    return { pushRequestsOpen: this.#requests, pushBytesHeld: this.#bytes, pushesWaiting: this.#line.size };
  }

  /** Requests that the subscription may have under way. */
  requestsMax(share: PushShare): number {
    return Math.max(1, Math.floor(this.#options.pushRequestsMax / this.#among(share)));
  }

  /** Bytes that the subscription may hold. */
  bytesMax(share: PushShare): number {
    return Math.max(1, Math.floor(this.#options.pushBytesMax / this.#among(share)));
  }

  /** @returns false when no request became free within `waitMs` */
  async take(share: PushShare, waitMs: number): Promise<boolean> {
    if (this.#requests < this.#options.pushRequestsMax) this.#requests++;
    else if (!(await this.#wait(waitMs))) return false;
    share.requests++;
    this.#busy.add(share);
    return true;
  }

  /** Whoever waits first gets it, before anybody who comes now. */
  give(share: PushShare): void {
    share.requests--;
    this.#settle(share);
    const [next] = this.#line;
    if (next) next();
    else this.#requests--;
  }

  hold(share: PushShare, bytes: number): void {
    this.#bytes += bytes;
    share.bytes += bytes;
    this.#busy.add(share);
  }

  letGo(share: PushShare, bytes: number): void {
    this.#bytes -= bytes;
    share.bytes -= bytes;
    this.#settle(share);
  }

  #among(share: PushShare): number {
    return this.#busy.size + (this.#busy.has(share) ? 0 : 1);
  }

  #settle(share: PushShare): void {
    if (share.requests === 0 && share.bytes === 0) this.#busy.delete(share);
  }

  #wait(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (got: boolean) => {
        this.#line.delete(go);
        cancelTimer();
        resolve(got);
      };
      const go = () => leave(true);
      const cancelTimer = this.#options.schedule(waitMs, () => leave(false));
      this.#line.add(go);
    });
  }
}
