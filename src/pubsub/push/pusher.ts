import { isDeepStrictEqual } from 'node:util';
import type { Store, StoredSubscription } from '../../store/store.ts';
import { everySubscription } from '../sweep-pages.ts';
import type { PushHealth } from './endpoint-health.ts';
import { PushLoop } from './push-loop.ts';
import type { PushParts } from './push-parts.ts';
import { type PushedSubscription, pushedSubscription } from './pushed-subscription.ts';

export interface PusherParts extends PushParts {
  readonly store: Store;
}

interface Running {
  readonly loop: PushLoop;
  readonly subscriptionId: string;
}

/**
 * Runs a loop for every subscription that has a push endpoint, on every node. The catalog's word starts, changes and
 * stops them; a scan at the start, and now and then, finds what that word has missed.
 */
export class Pusher {
  readonly #parts: PusherParts;
  readonly #running = new Map<string, Running>();
  /** Loops that were stopped and still have requests under way. */
  readonly #ending = new Map<PushLoop, Promise<void>>();
  /** Names to be read anew. */
  readonly #changed = new Set<string>();
  readonly #stopWatching: () => void;
  #reading: Promise<void> | undefined;
  #scanning: Promise<void> | undefined;
  #scanAgain = false;
  #cancelScan: () => void = () => undefined;
  #closed = false;
  #refused = 0;

  constructor(parts: PusherParts) {
    this.#parts = parts;
    this.#stopWatching = parts.store.onCatalogChange((name) => this.#heard(name));
    this.#scan();
  }

  counters() {
    let pushMessagesHeld = 0;
    let pushSubscriptionsResting = 0;
    for (const { loop } of this.#running.values()) {
      pushMessagesHeld += loop.messages;
      if (loop.resting) pushSubscriptionsResting++;
    }
    return {
      pushSubscriptions: this.#running.size,
      pushSubscriptionsResting,
      pushSubscriptionsRefused: this.#refused,
      pushMessagesHeld,
      ...this.#parts.tally.counters(),
      ...this.#parts.turns.counters(),
    };
  }

  /** @returns undefined when this node does not push the subscription */
  health(subscription: string): PushHealth | undefined {
    return this.#running.get(subscription)?.loop.health;
  }

  /** Sends nothing more, lets requests under way finish for `deadlineMs` at most, and cuts the others. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    this.#stopWatching();
    this.#cancelScan();
    for (const name of [...this.#running.keys()]) this.#stop(name);
    const cancelTimer = this.#parts.schedule(deadlineMs, () => this.#cut());
    if (deadlineMs === 0) this.#cut();
    await Promise.all([this.#reading, this.#scanning, ...this.#ending.values()]);
    cancelTimer();
    this.#parts.sender.close();
  }

  #cut(): void {
    for (const loop of this.#ending.keys()) loop.cut();
  }

  #heard(name: string | undefined): void {
    if (name === undefined) this.#scan();
    else if (name.includes('/subscriptions/')) this.#reread(name);
  }

  #reread(name: string): void {
    this.#running.get(name)?.loop.unsure();
    this.#changed.add(name);
    this.#reading ??= this.#readChanged().finally(() => {
      this.#reading = undefined;
      if (this.#changed.size > 0 && !this.#closed)
        this.#parts.schedule(this.#parts.bounds.pushRestMs, () => this.#again());
    });
  }

  #again(): void {
    const [name] = this.#changed;
    if (name !== undefined && !this.#closed) this.#reread(name);
  }

  /** Never rejects; names that could not be read stay in the set. */
  async #readChanged(): Promise<void> {
    while (this.#changed.size > 0 && !this.#closed) {
      const [name] = this.#changed as unknown as [string];
      this.#changed.delete(name); // before it is read: a change meanwhile counts again
      try {
        this.#apply(name, await this.#parts.store.subscription(name));
      } catch (error) {
        this.#changed.add(name);
        this.#failed(error);
        return;
      }
    }
  }

  #apply(name: string, stored: StoredSubscription | undefined): void {
    if (this.#closed || this.#changed.has(name)) return; // it is read once more
    const subscription = stored && pushedSubscription(stored);
    const known = this.#running.get(name);
    if (!stored || !subscription) this.#stop(name);
    else if (known?.subscriptionId === stored.subscriptionId) known.loop.define(subscription);
    else this.#start(stored.subscriptionId, subscription);
  }

  #start(subscriptionId: string, subscription: PushedSubscription): void {
    const { name } = subscription;
    this.#stop(name); // the name belonged to another one
    if (this.#running.size >= this.#parts.bounds.pushSubscriptionsMax) this.#refuse(name);
    else this.#running.set(name, { loop: new PushLoop(this.#parts, subscription), subscriptionId });
  }

  #refuse(subscription: string): void {
    if (this.#refused++ > 0) return;
    const { pushSubscriptionsMax: max } = this.#parts.bounds;
    this.#parts.logger.warn({ subscription, max }, 'too many push subscriptions: this node does not push this one');
  }

  #stop(name: string): void {
    const { loop } = this.#running.get(name) ?? {};
    if (!loop) return;
    this.#running.delete(name);
    this.#ending.set(
      loop,
      loop.stop().finally(() => this.#ending.delete(loop)),
    );
  }

  /** One at a time; what was missed while one is under way is found by another one after it. */
  #scan(): void {
    if (this.#closed) return;
    this.#cancelScan();
    this.#scanAgain = this.#scanning !== undefined;
    this.#scanning ??= this.#readAll().finally(() => {
      this.#scanning = undefined;
      if (this.#scanAgain) this.#scan();
      else if (!this.#closed)
        this.#cancelScan = this.#parts.schedule(this.#parts.bounds.pushScanMs, () => this.#scan());
    });
  }

  /** Never rejects. What differs from what runs is read once more, by itself: pages may be old by the time they come. */
  async #readAll(): Promise<void> {
    const { store, bounds } = this.#parts;
    const missing = new Set(this.#running.keys());
    try {
      for await (const stored of everySubscription(store, bounds.pushScanPageSize)) {
        if (this.#closed) return;
        const { name } = stored.subscription;
        missing.delete(name);
        if (this.#differs(stored)) this.#reread(name);
      }
      for (const name of missing) this.#reread(name);
    } catch (error) {
      this.#failed(error);
    }
  }

  #differs(stored: StoredSubscription): boolean {
    const subscription = pushedSubscription(stored);
    const known = this.#running.get(stored.subscription.name);
    if (!subscription || !known) return Boolean(subscription) !== Boolean(known);
    return known.subscriptionId !== stored.subscriptionId || !isDeepStrictEqual(known.loop.subscription, subscription);
  }

  #failed(error: unknown): void {
    this.#parts.tally.storeFailed();
    this.#parts.logger.warn({ error: String(error) }, 'push subscriptions could not be read; they are read again');
  }
}
