import type { ReceivedMessage, Subscriptions } from './pubsub.ts';
import { isDetached } from './refusals.ts';
import type { StreamingPull } from './streaming-pull.ts';
import type { SubscriptionProperties } from './streaming-pull-outlet.ts';
import type { StreamWindow } from './streaming-pull-window.ts';

/** A message that a stream has sent and that is still out. */
interface Held {
  readonly window: StreamWindow;
  readonly bytes: number;
  deadlineMs: number;
}

/**
 * The streams of one subscription on this node, and which of them has which message out. It does not matter where a
 * message is settled, on its stream, on another or by a unary call: its place in the window becomes free. A message
 * whose deadline passes frees its place as well.
 */
export class StreamGroup {
  readonly streams = new Set<StreamingPull>();
  readonly #name: string;
  readonly #subscriptions: Pick<Subscriptions, 'get'>;
  readonly #held = new Map<string, Held>();
  /** No deadline is earlier; extending one does not move it. */
  #expiryMs = Number.POSITIVE_INFINITY;
  #properties: SubscriptionProperties = { exactlyOnce: false, ordered: false };

  constructor(name: string, subscriptions: Pick<Subscriptions, 'get'>) {
    this.#name = name;
    this.#subscriptions = subscriptions;
  }

  get properties(): SubscriptionProperties {
    return this.#properties;
  }

  /** Not before this will anything expire. */
  get expiryMs(): number {
    return this.#expiryMs;
  }

  get held(): number {
    return this.#held.size;
  }

  /** @throws NOT_FOUND, FAILED_PRECONDITION detached */
  async refresh(): Promise<void> {
    const subscription = await this.#subscriptions.get(this.#name);
    if (subscription.detached) throw isDetached(this.#name);
    this.#properties = {
      exactlyOnce: subscription.enableExactlyOnceDelivery,
      ordered: subscription.enableMessageOrdering,
    };
  }

  hold(messages: readonly ReceivedMessage[], window: StreamWindow, deadlineMs: number): void {
    for (const { ackId, bytes } of messages) {
      this.#held.set(ackId, { window, bytes, deadlineMs });
      window.take(bytes);
    }
    this.#expiryMs = Math.min(this.#expiryMs, deadlineMs);
  }

  /** It was acked, nacked or released, or its ack id is not valid any more. */
  settle(ackId: string): void {
    const held = this.#held.get(ackId);
    if (!held) return;
    this.#held.delete(ackId);
    held.window.give(held.bytes);
  }

  /** Its deadline was changed. */
  extend(ackId: string, deadlineMs: number): void {
    const held = this.#held.get(ackId);
    if (!held) return;
    held.deadlineMs = deadlineMs;
    this.#expiryMs = Math.min(this.#expiryMs, deadlineMs);
  }

  /** Frees the places of all messages whose deadline has passed. */
  expire(nowMs: number): void {
    if (nowMs < this.#expiryMs) return;
    this.#expiryMs = Number.POSITIVE_INFINITY;
    for (const [ackId, { deadlineMs }] of this.#held) {
      if (deadlineMs <= nowMs) this.settle(ackId);
      else this.#expiryMs = Math.min(this.#expiryMs, deadlineMs);
    }
  }

  /** The stream has ended: what it had out stays leased, but nobody counts it any more. */
  leave(stream: StreamingPull, window: StreamWindow): void {
    this.streams.delete(stream);
    if (window.messages === 0) return;
    for (const [ackId, held] of this.#held) if (held.window === window) this.#held.delete(ackId);
  }
}
