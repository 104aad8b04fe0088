import type { OutgoingMessage } from './broker.ts';
import type { ReasonCode } from './refusal.ts';

/** What a pending packet reports to. */
export interface PendingOwner {
  onStored(pending: Pending): void;
  onNotStored(pending: Pending, error: unknown): void;
  onFannedOut(pending: Pending, error: Error | null | undefined): void;
}

/**
 * One PUBLISH or PUBREL from its arrival until nothing has to be done for it any more. Objects of this kind are used
 * again: their three callbacks are made once, so that a message costs no closure.
 */
export class Pending {
  next: Pending | undefined; // in the queue of acknowledgements, or in the pool
  owner: PendingOwner | undefined;
  /** First byte of the acknowledgement; without meaning under QoS 0, as is all that concerns the queue. */
  ack = 0;
  packetId = 0;
  /** MQTT 5 only; success otherwise. */
  reasonCode: ReasonCode = 0;
  reason = '';
  /** The acknowledgement may leave as soon as those before it have left. */
  due = false;
  /** It will never be due: the store did not take it. */
  failed = false;
  /** Set for the first PUBLISH of a QoS 2 packet id, which answers for the id's state. */
  first = false;
  arrivedMs = 0;
  bytes = 0;
  /** For subscribers, once it is durable. */
  message: OutgoingMessage | undefined;
  /** Things still to be done: queue, store, subscribers. */
  parts = 0;

  readonly stored = (): void => this.owner!.onStored(this);
  readonly notStored = (error: unknown): void => this.owner!.onNotStored(this, error);
  readonly fannedOut = (error?: Error | null): void => this.owner!.onFannedOut(this, error);
}

/** Keeps up to `idleMax` of them for the next messages. */
export class PendingPool {
  readonly #idleMax: number;
  #idle: Pending | undefined;
  #count = 0;

  constructor(idleMax = 4096) {
    this.#idleMax = idleMax;
  }

  take(owner: PendingOwner): Pending {
    const pending = this.#idle;
    if (!pending) {
      const fresh = new Pending();
      fresh.owner = owner;
      return fresh;
    }
    this.#idle = pending.next;
    this.#count--;
    pending.next = undefined;
    pending.owner = owner;
    return pending;
  }

  give(pending: Pending): void {
    if (this.#count >= this.#idleMax) return;
    pending.owner = undefined;
    pending.message = undefined;
    pending.reasonCode = 0;
    pending.reason = '';
    pending.due = false;
    pending.failed = false;
    pending.first = false;
    pending.parts = 0;
    pending.next = this.#idle;
    this.#idle = pending;
    this.#count++;
  }
}
