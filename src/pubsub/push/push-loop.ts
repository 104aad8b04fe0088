import type { ReceivedMessage } from '../pubsub.ts';
import { Bell } from './bell.ts';
import type { PushHealth } from './endpoint-health.ts';
import { PushOutbox } from './push-outbox.ts';
import type { PushParts } from './push-parts.ts';
import type { PushedSubscription } from './pushed-subscription.ts';

/**
 * Pushes one subscription: leases as many messages as there is room for, waiting for them like any pull, and hands them
 * to the outbox.
 *
 *     waiting for room ──► pulling ──► sending ──► waiting for room
 *       full: until a request ends       a pull is called off when a rest begins,
 *       resting: until the rest is over  the definition changes, or the loop stops
 *       unsure: until the definition has been read anew
 *
 * Nodes on one store each run a loop for the same subscription. They share nothing but the store, whose leases keep a
 * message, and a run of an ordering key, with one of them at a time.
 */
export class PushLoop {
  readonly #parts: PushParts;
  readonly #outbox: PushOutbox;
  readonly #bell = new Bell();
  readonly #ended: Promise<void>;
  #pulling: AbortController | undefined;
  #sure = true;
  #stopped = false;

  constructor(parts: PushParts, subscription: PushedSubscription) {
    this.#parts = parts;
    this.#outbox = new PushOutbox(parts, subscription, {
      on: () => this.#sure && !this.#stopped,
      changed: () => this.#bell.ring(),
      resting: () => this.#pulling?.abort(),
    });
    this.#ended = this.#run();
  }

  get subscription(): PushedSubscription {
    return this.#outbox.subscription;
  }

  get health(): PushHealth {
    return this.#outbox.health;
  }

  get messages(): number {
    return this.#outbox.messages;
  }

  get resting(): boolean {
    return this.#outbox.restMs > 0;
  }

  /** Its definition has changed: nothing is sent until `define` says how. */
  unsure(): void {
    this.#sure = false;
    this.#pulling?.abort();
  }

  define(subscription: PushedSubscription): void {
    this.#outbox.define(subscription);
    this.#sure = true;
    this.#bell.ring();
  }

  /** Sends nothing more. Resolves when what is under way is settled; at most the ack deadline later. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pulling?.abort();
    this.#bell.ring();
    await this.#ended;
    await this.#outbox.idle();
  }

  /** Ends what is under way. */
  cut(): void {
    this.#outbox.cut();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#sure || this.#outbox.room === 0) {
        await this.#change(this.#outbox.restMs);
        continue;
      }
      const messages = await this.#pull();
      while (!this.#sure && !this.#stopped) await this.#bell.next();
      if (messages.length > 0) await this.#outbox.take(messages);
    }
  }

  async #pull(): Promise<readonly ReceivedMessage[]> {
    const { subscriber, bounds } = this.#parts;
    const { name, ackDeadlineMs } = this.#outbox.subscription;
    const { room: messagesMax, bytesRoom: bytesMax } = this.#outbox;
    const limits = { messagesMax, bytesMax, ackDeadlineMs: ackDeadlineMs + bounds.pushLeaseMarginMs, forPush: true };
    this.#pulling = new AbortController();
    try {
      return await subscriber.pull(name, limits, this.#pulling.signal);
    } catch (error) {
      await this.#storeFailed(error);
      return [];
    } finally {
      this.#pulling = undefined;
    }
  }

  /** Deleted and detached subscriptions are stopped as soon as the catalog says so; until then this is one more failure. */
  async #storeFailed(error: unknown): Promise<void> {
    const { tally, logger, bounds } = this.#parts;
    const { name } = this.#outbox.subscription;
    tally.storeFailed();
    logger.debug({ subscription: name, error: String(error) }, 'no messages to push could be had');
    if (!this.#stopped) await this.#change(bounds.pushRestMs);
  }

  /** @param withinMs look again then, whatever happens; 0: only when something happens */
  async #change(withinMs: number): Promise<void> {
    const cancelTimer = withinMs > 0 ? this.#parts.schedule(withinMs, () => this.#bell.ring()) : undefined;
    await this.#bell.next();
    cancelTimer?.();
  }
}
