import type { MqttCounters } from './counters.ts';
import type { Outbox } from './outbox.ts';
import type { Pending } from './pending.ts';
import { ackHeaders, type Fit, negativeAck } from './replies.ts';

export interface AckQueueOptions {
  readonly outbox: Outbox;
  readonly fit: Fit;
  readonly counters: MqttCounters;
  readonly clock: () => number;
  readonly deadlineMs: number;
  /** A packet is stored, and so are all before it; it is due when the owner says so. */
  readonly onStored: (pending: Pending) => void;
  /** A packet has left the queue, acknowledged unless the connection is gone. */
  readonly onLeft: (pending: Pending) => void;
  /** The oldest packet has waited for `deadlineMs`. */
  readonly onDeadline: () => void;
}

/**
 * The packets of one connection that wait for their acknowledgement, in the order in which they came.
 *
 *     waiting ──stored, and all before it──► being queued for subscribers ──► due ──all before it have left──► left
 *
 * Two places in the queue move on: behind the *front* everything was stored, so that messages are queued for subscribers
 * in the order in which they came (MQTT-4.6.0-5); and only the *head* may leave, so that acknowledgements keep that
 * order too (I7, MQTT-4.6.0-2 to -4). One timer watches the age of the head.
 */
export class AckQueue {
  readonly #options: AckQueueOptions;
  #head: Pending | undefined;
  #tail: Pending | undefined;
  #front: Pending | undefined; // the first that is not stored
  #length = 0;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #whenEmpty: (() => void) | undefined;

  constructor(options: AckQueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#length;
  }

  add(pending: Pending): void {
    if (this.#tail) this.#tail.next = pending;
    else this.#head = pending;
    this.#tail = pending;
    this.#front ??= pending;
    this.#length++;
    if (!this.#closed) this.#timer ??= setTimeout(this.#watch, this.#options.deadlineMs);
  }

  stored(pending: Pending): void {
    pending.stored = true;
    if (pending === this.#front) this.#advanceFront();
  }

  /** There is nothing to store or queue for this packet; its acknowledgement may leave in its turn. */
  skip(pending: Pending): void {
    pending.due = true;
    this.stored(pending);
    if (pending === this.#head) this.#advance();
  }

  /** The packet may leave as soon as those before it have left. */
  due(pending: Pending): void {
    pending.due = true;
    if (pending === this.#head) this.#advance();
  }

  /** Resolves when nothing waits any more, or the connection is gone. */
  empty(): Promise<void> {
    if (!this.#head || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  /** The connection is gone: nothing is acknowledged any more, and what failed no longer bars the way. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#whenEmpty?.();
    for (let pending = this.#head; pending; pending = pending.next) {
      if (pending.failed) pending.due = pending.stored = true;
    }
    this.#advanceFront();
  }

  #advanceFront(): void {
    for (let pending = this.#front; pending?.stored; pending = this.#front) {
      this.#front = pending.next;
      if (!pending.due) this.#options.onStored(pending);
    }
    this.#advance();
  }

  #advance(): void {
    for (let pending = this.#head; pending?.due && pending !== this.#front; pending = this.#head) {
      this.#head = pending.next;
      if (!this.#head) this.#tail = undefined;
      this.#length--;
      if (!this.#closed) this.#acknowledge(pending);
      this.#options.onLeft(pending);
    }
    if (!this.#head) this.#whenEmpty?.();
  }

  #acknowledge({ ack, packetId, reasonCode, reason }: Pending): void {
    const { outbox, fit, counters } = this.#options;
    if (reasonCode === 0) outbox.acknowledge(ack, packetId);
    else outbox.write(negativeAck(ack, packetId, reasonCode, reason, fit));
    if (ack === ackHeaders.puback) counters.pubacks++;
    else if (ack === ackHeaders.pubrec) counters.pubrecs++;
    else counters.pubcomps++;
  }

  readonly #watch = (): void => {
    this.#timer = undefined;
    if (!this.#head || this.#closed) return;
    const { clock, deadlineMs, onDeadline } = this.#options;
    const left = this.#head.arrivedMs + deadlineMs - clock();
    if (left > 0)
      this.#timer = setTimeout(this.#watch, Math.min(left, deadlineMs)); // a clock may be set back
    else onDeadline();
  };
}
