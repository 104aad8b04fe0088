import type { Audience } from './fan-out.ts';
import type { Message } from './message.ts';
import type { ReasonCode } from './refusal.ts';

/** What a pending packet reports to. */
export interface PendingOwner {
  onStored(pending: Pending): void;
  onNotStored(pending: Pending, error: unknown): void;
  /** It is in the queues of its subscribers, and retained, where it has to be. */
  onKept(pending: Pending): void;
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
  /** In every topic that it was routed to. */
  stored = false;
  /** The acknowledgement may leave as soon as those before it have left. */
  due = false;
  /** It will never be due: the store did not take it. */
  failed = false;
  /** Set for the first PUBLISH of a QoS 2 packet id, which answers for the id's state. */
  first = false;
  /** A route took it. */
  routed = false;
  arrivedMs = 0;
  bytes = 0;
  /** For subscribers, once it is stored. */
  message: Message | undefined;
  /** Who they are. */
  audience: Audience | undefined;
  /** QoS 0: things still to be done. */
  parts = 0;

  readonly onStored = (): void => this.owner!.onStored(this);
  readonly onNotStored = (error: unknown): void => this.owner!.onNotStored(this, error);
  readonly onKept = (): void => this.owner!.onKept(this);
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
    pending.audience = undefined;
    pending.reasonCode = 0;
    pending.reason = '';
    pending.stored = false;
    pending.due = false;
    pending.failed = false;
    pending.first = false;
    pending.routed = false;
    pending.parts = 0;
    pending.next = this.#idle;
    this.#idle = pending;
    this.#count++;
  }
}
