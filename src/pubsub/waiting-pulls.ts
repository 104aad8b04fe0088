import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { PubSubError } from '../domain/errors.ts';
import type { LeaseLimits, ReceivedMessage } from './pubsub.ts';
import type { Schedule } from './schedule.ts';

/** What one look at a subscription brought. */
export interface Received {
  readonly messages: ReceivedMessage[];
  readonly nextDueMs: number | undefined;
}

export interface WaitingPullsOptions {
  /** @param wanted turns false when nobody waits for the answer any more. */
  readonly lease: (limits: LeaseLimits, wanted: () => boolean) => Promise<Received>;
  /** Never rejects: what cannot be given back now is due again at its deadline. */
  readonly release: (messages: readonly ReceivedMessage[]) => Promise<void>;
  /** Calls `wake` when something was appended; returns the way to stop. */
  readonly watch: (wake: () => void) => () => void;
  readonly clock: () => number;
  readonly schedule: Schedule;
  /** 0 to 1, as `Math.random` */
  readonly random: () => number;
  readonly waitingPullsMax: number;
  readonly waitingPullMsMin: number;
  readonly waitingPullMsMax: number;
}

interface WaitingPull {
  readonly limits: LeaseLimits;
  readonly resolve: (messages: ReceivedMessage[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Between two looks when something is due but cannot be handed out (a bound of the store). */
const restMs = 20;

/**
 * The pulls that wait on one subscription, first come first served.
 *
 *     idle ──pull──► looking: leases for the first in line ──messages──► answers it, and looks for the next
 *                       │ nothing there
 *                       ▼
 *                    waiting ──append │ next message due │ nack, seek │ a second or more──► looking
 *
 * Appends, nacks and seeks wake it, on whatever node they happen, and a look tells when the next message is due. The look
 * without a reason is for word that got lost: it comes after a second, and with every one that found nothing twice as
 * late, up to a bound, because thousands of pulls may wait for nothing.
 *
 * Only one look is under way at a time; what wakes it meanwhile makes it look once more. Appends are watched only
 * while somebody waits. An error of the lease (deleted, detached, store down) is the answer to everybody in line.
 */
export class WaitingPulls {
  readonly #options: WaitingPullsOptions;
  readonly #line = new Set<WaitingPull>();
  #looking: Promise<void> | undefined;
  #again = false;
  /** Looks in a row that nothing but time caused. */
  #idleLooks = 0;
  #unwatch: (() => void) | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: WaitingPullsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#line.size;
  }

  /** @throws RESOURCE_EXHAUSTED when too many wait already; whatever the lease throws */
  pull(limits: LeaseLimits, signal: AbortSignal): Promise<ReceivedMessage[]> {
    if (signal.aborted) return Promise.resolve([]);
    if (this.#line.size >= this.#options.waitingPullsMax) return Promise.reject(this.#tooMany());
    let leave = () => {};
    const answer = new Promise<ReceivedMessage[]>((resolve, reject) => {
      const pull: WaitingPull = { limits, resolve, reject };
      leave = () => this.#leave(pull, () => resolve([]));
      this.#line.add(pull);
    });
    signal.addEventListener('abort', leave, { once: true });
    this.#unwatch ??= this.#options.watch(() => this.wake());
    this.wake();
    return answer.finally(() => signal.removeEventListener('abort', leave));
  }

  /** Something may be there now. */
  wake(): void {
    this.#idleLooks = 0;
    this.#lookNow();
  }

  #lookNow(): void {
    if (this.#line.size === 0) return;
    this.#again = true;
    this.#looking ??= this.#look();
  }

  /** Everybody in line gets nothing, and nothing stays leased for them. */
  async close(): Promise<void> {
    for (const pull of this.#line) this.#leave(pull, () => pull.resolve([]));
    await this.#looking;
  }

  #leave(pull: WaitingPull, answer: () => void): void {
    if (!this.#line.delete(pull)) return;
    answer();
    if (this.#line.size === 0) this.#stopWatching();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    this.#cancelTimer?.();
    let nextDueMs: number | undefined;
    try {
      while (this.#again && this.#line.size > 0) {
        this.#again = false;
        nextDueMs = await this.#serve();
      }
    } catch (error) {
      for (const pull of this.#line) this.#leave(pull, () => pull.reject(error));
    }
    this.#looking = undefined;
    if (this.#line.size > 0) this.#lookAgainAt(nextDueMs);
  }

  /** Answers pulls until there is nothing for the first in line. @returns when something becomes due */
  async #serve(): Promise<number | undefined> {
    for (const pull of this.#line) {
      const { messages, nextDueMs } = await this.#options.lease(pull.limits, () => this.#line.has(pull));
      if (messages.length === 0 && this.#line.has(pull)) return nextDueMs;
      if (!this.#line.has(pull)) await this.#options.release(messages);
      else this.#leave(pull, () => pull.resolve(messages));
      if (this.#line.size > 0) await nextLoopTurn(); // a long line before a long backlog must not hold up everybody else
    }
    return undefined;
  }

  #lookAgainAt(nextDueMs: number | undefined): void {
    const { clock, schedule, random, waitingPullMsMin, waitingPullMsMax } = this.#options;
    const idleMs = Math.min(waitingPullMsMin * 2 ** this.#idleLooks++, waitingPullMsMax);
    const latestMs = idleMs * (0.75 + random() / 4); // pulls that came together must not keep looking together
    const dueInMs = nextDueMs === undefined ? latestMs : nextDueMs - clock();
    this.#cancelTimer = schedule(Math.min(Math.max(dueInMs, restMs), latestMs), () => this.#lookNow());
  }

  #stopWatching(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #tooMany(): PubSubError {
    return new PubSubError(
      'RESOURCE_EXHAUSTED',
      `${this.#line.size} pulls wait on this subscription already; wait for one of them, or pull with fewer clients.`,
    );
  }
}
