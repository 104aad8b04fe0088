import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { secondMs } from '../domain/duration.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PubSubBounds } from './bounds.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Delivery, LeaseWants, PartitionLeases } from './partition-leases.ts';
import type { Schedule } from './schedule.ts';
import type { SubscriptionHandle } from './subscription-handle.ts';
import type { SubscriptionHandles } from './subscription-handles.ts';
import { everySubscription } from './sweep-pages.ts';

interface Parts {
  readonly store: Store;
  readonly handles: SubscriptionHandles;
  readonly deadLetters: DeadLetters;
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly bounds: PubSubBounds;
}

/** Long enough to publish and ack a step's worth; after a crash the message is due again then. */
const holdMs = 60 * secondMs;
const stepBytesMax = 4 * 1024 * 1024;
const stepsMax = 10;

/**
 * Finds spent messages when nobody pulls. A message can only become spent by failing its last allowed delivery, and
 * this node sees each of those that it hands out or takes back: it looks at the subscription when such a delivery's
 * deadline passes, and at once when one is given back. What other nodes or an earlier life handed out is found by a
 * look at every subscription with a policy, now and then. So a fleet of healthy subscriptions costs nothing.
 */
export class DeadLetterSweep {
  readonly #parts: Parts;
  /** When to look at which subscription: those with a last delivery under way, at most one entry each. */
  readonly #lookAtMs = new Map<string, number>();
  #lookAtAllMs: number;
  #looking: Promise<void> | undefined;
  #again = false;
  #cancelTimer: () => void;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#lookAtAllMs = parts.clock();
    this.#cancelTimer = this.#startTimer();
  }

  /** These were just handed out: those that are on their last delivery are looked at when its deadline passes. */
  watch({ name, definition }: SubscriptionHandle, deliveries: readonly Delivery[]): void {
    const { deadLetter } = definition.subscription;
    if (!deadLetter) return;
    for (const { attempt, deadlineMs } of deliveries) {
      if (attempt >= deadLetter.deliveryAttemptsMax) this.#lookAt(name, deadlineMs);
    }
  }

  /** A last delivery of this subscription was just given back. */
  lookNow(name: string): void {
    this.#lookAt(name, this.#parts.clock());
    void this.#look();
  }

  /** Looks at every subscription that has a policy. */
  async sweepOnce(): Promise<void> {
    this.#lookAtAllMs = this.#parts.clock();
    await this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer();
    await this.#looking;
  }

  #startTimer(): () => void {
    const { schedule, bounds } = this.#parts;
    return schedule(bounds.deadLetterSweepMs, () => {
      if (this.#closed) return;
      this.#cancelTimer = this.#startTimer();
      void this.#look();
    });
  }

  #lookAt(name: string, atMs: number): void {
    this.#lookAtMs.set(name, Math.min(atMs, this.#lookAtMs.get(name) ?? atMs));
  }

  /** One look at a time; a call during a look is answered by another look right after. Never rejects. */
  #look(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#again = true;
    this.#looking ??= this.#lookAround();
    return this.#looking;
  }

  async #lookAround(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      await this.#lookOnce();
    }
    this.#looking = undefined;
  }

  async #lookOnce(): Promise<void> {
    const { clock, logger } = this.#parts;
    try {
      if (this.#lookAtAllMs <= clock()) await this.#addAll();
      const due = [...this.#lookAtMs].filter(([, atMs]) => atMs <= clock());
      for (const [name] of due) {
        await this.#lookAtOne(name);
        await nextLoopTurn(); // looks that find nothing must not hold up everybody else
      }
    } catch (error) {
      logger.warn({ error: String(error) }, 'the dead letter sweep was cut short; it goes on at its next turn');
    }
  }

  async #addAll(): Promise<void> {
    const { store, clock, bounds } = this.#parts;
    this.#lookAtAllMs = clock() + bounds.deadLetterLookMs;
    for await (const { subscription } of everySubscription(store, bounds.sweepPageSize)) {
      if (subscription.deadLetter && !subscription.detached) this.#lookAt(subscription.name, clock());
    }
  }

  async #lookAtOne(name: string): Promise<void> {
    this.#lookAtMs.delete(name);
    const handle = await this.#parts.handles.get(name).catch(() => undefined); // deleted meanwhile
    if (!handle || handle.definition.subscription.detached) return;
    const pausedUntilMs = this.#parts.deadLetters.pausedUntilMs(handle);
    if (pausedUntilMs > this.#parts.clock()) this.#lookAt(name, pausedUntilMs);
    else for (const partition of handle.partitions) await this.#forwardFrom(handle, partition);
  }

  async #forwardFrom(handle: SubscriptionHandle, partition: PartitionLeases): Promise<void> {
    const { deadLetters, clock, bounds } = this.#parts;
    const wants: LeaseWants = { messagesMax: bounds.deadLettersMax, bytesMax: stepBytesMax, ackDeadlineMs: holdMs };
    for (let step = 0; step < stepsMax; step++) {
      const { definition } = handle; // it may change between two steps
      const { deadLetter } = definition.subscription;
      if (!deadLetter || this.#closed) return;
      const attemptMin = deadLetter.deliveryAttemptsMax + 1;
      const { deliveries, nextDueMs, more } = await partition.leaseSpent(definition, wants, attemptMin);
      if (more) continue;
      if (deliveries.length === 0) {
        if (nextDueMs !== undefined && nextDueMs > clock()) this.#lookAt(handle.name, nextDueMs);
        return;
      }
      const forwarded = new Set(await deadLetters.forward(handle, deliveries));
      const left = deliveries.filter((delivery) => !forwarded.has(delivery));
      if (left.length > 0) return partition.giveBack(left);
    }
    this.#lookAt(handle.name, clock());
  }
}
