import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { ackIdPrefix, formatAckId } from '../domain/ack-id.ts';
import type { PubSubBounds } from './bounds.ts';
import { type DeadLetters, messageOf } from './dead-letters.ts';
import type { Delivery, PartitionLeases } from './partition-leases.ts';
import type { LeaseLimits, ReceivedMessage } from './pubsub.ts';
import type { SubscriptionHandle } from './subscription-handle.ts';
import type { Received } from './waiting-pulls.ts';

interface Parts {
  /** @throws NOT_FOUND, FAILED_PRECONDITION detached, or pushed and not to be pulled */
  readonly attached: (name: string, limits: LeaseLimits) => Promise<SubscriptionHandle>;
  readonly deadLetters: DeadLetters;
  /** Told of every message that leaves. */
  readonly handedOut: (handle: SubscriptionHandle, deliveries: readonly Delivery[]) => void;
  readonly bounds: PubSubBounds;
}

interface Collected {
  readonly deliveries: readonly Delivery[];
  readonly nextDueMs: number | undefined;
  readonly more: boolean;
}

/** Turns leases of the partitions of a subscription into messages for a caller. */
export class Receiver {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Looks until something is found, everything was looked at, or nobody wants it any more. */
  async receive(name: string, limits: LeaseLimits, wanted: () => boolean): Promise<Received> {
    for (;;) {
      const handle = await this.#parts.attached(name, limits);
      const { deliveries, nextDueMs, more } = await this.#collect(handle, limits);
      const kept = await this.#parts.deadLetters.divert(handle, deliveries);
      const mayFindMore = more || deliveries.length > 0;
      if (kept.length > 0 || !mayFindMore || !wanted()) {
        this.#parts.handedOut(handle, kept);
        return { messages: received(handle, kept), nextDueMs };
      }
      await nextLoopTurn(); // a filter that takes nothing of a long backlog must not hold up everybody else
    }
  }

  /** One lease from each partition until the limits are reached. */
  async #collect(handle: SubscriptionHandle, limits: LeaseLimits): Promise<Collected> {
    const deliveries: Delivery[] = [];
    let bytesMax = limits.bytesMax;
    let messagesMax = Math.min(limits.messagesMax, this.#parts.bounds.leaseMessagesMax);
    let nextDueMs: number | undefined;
    let more = false;
    for (const partition of handle.rotation()) {
      if (messagesMax <= 0 || bytesMax <= 0) break;
      const leased = await this.#lease(handle, partition, { ...limits, messagesMax, bytesMax }, deliveries);
      if (!leased) break;
      for (const delivery of leased.deliveries) {
        deliveries.push(delivery);
        bytesMax -= delivery.record.length;
      }
      messagesMax -= leased.deliveries.length;
      nextDueMs = earlier(nextDueMs, leased.nextDueMs);
      more ||= leased.more;
    }
    return { deliveries, nextDueMs, more };
  }

  /** @returns undefined when it failed but others gave messages already: those must reach the caller */
  async #lease(
    { definition }: SubscriptionHandle,
    partition: PartitionLeases,
    limits: LeaseLimits,
    found: readonly Delivery[],
  ) {
    const ackDeadlineMs = limits.ackDeadlineMs ?? definition.subscription.ackDeadlineMs;
    try {
      return await partition.lease(definition, { ...limits, ackDeadlineMs });
    } catch (error) {
      if (found.length === 0) throw error;
      return undefined;
    }
  }
}

function received({ definition }: SubscriptionHandle, deliveries: readonly Delivery[]): ReceivedMessage[] {
  const { subscriptionId, subscription } = definition;
  let last: Delivery | undefined;
  let prefix = '';
  return deliveries.map((delivery) => {
    const { partition, epoch, block, index, offset, attempt } = delivery;
    if (last?.block !== block || last.partition !== partition) {
      prefix = ackIdPrefix(subscriptionId, partition, epoch, block);
    }
    last = delivery;
    return {
      ackId: formatAckId(prefix, index, offset, attempt),
      message: messageOf(delivery),
      bytes: delivery.record.length,
      deliveryAttempt: subscription.deadLetter ? attempt : 0,
    };
  });
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
