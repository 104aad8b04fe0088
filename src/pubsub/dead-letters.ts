import { type DeadLetterPolicy, deadLetterMessage, hasSpentAttempts } from '../domain/dead-letter.ts';
import { decodeRecord, messageIdOf, type StoredMessage } from '../domain/message.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PubSubBounds } from './bounds.ts';
import type { Definition } from './definition.ts';
import type { Delivery } from './partition-leases.ts';
import type { Publisher } from './publisher.ts';
import type { SubscriptionHandle } from './subscription-handle.ts';

interface Parts {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly clock: () => number;
  readonly logger: Logger;
  readonly bounds: PubSubBounds;
}

/**
 * Moves messages whose attempts are spent to the dead letter topic:
 *
 *     1  they are leased, so nobody else has them
 *     2  published there, under a dedupe key made of where they came from: durable
 *     3  acked here: durable
 *     4  the dedupe key is let go
 *
 * A crash between 2 and 3 leaves them unacked here; they are leased again and the key recognises the second copy. One
 * between 3 and 4 leaves a key behind until the retention sweep lets it go.
 *
 * When 2 fails (the topic was deleted, the store is full) nothing is lost: the message stays in its subscription and is
 * delivered once more, as in Pub/Sub, and forwarding is tried again with its next failure, after a pause.
 */
export class DeadLetters {
  readonly #parts: Parts;
  #forwarded = 0;
  #failures = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  counters() {
    return { deadLettersForwarded: this.#forwarded, deadLetterFailures: this.#failures };
  }

  /** Forwards those of `deliveries` whose attempts are spent. @returns what remains to be delivered, in order */
  async divert(handle: SubscriptionHandle, deliveries: readonly Delivery[]): Promise<readonly Delivery[]> {
    const { deadLetter } = handle.definition.subscription;
    const spent = deadLetter ? deliveries.filter(({ attempt }) => hasSpentAttempts(deadLetter, attempt)) : [];
    if (spent.length === 0) return deliveries;
    const forwarded = new Set(await this.forward(handle, spent));
    return deliveries.filter((delivery) => !forwarded.has(delivery));
  }

  /**
   * Never rejects.
   * @returns those that are in the dead letter topic now; if one of them could not be acked here it comes back, and is
   *   recognised by its key
   */
  async forward(handle: SubscriptionHandle, spent: readonly Delivery[]): Promise<readonly Delivery[]> {
    const { definition } = handle; // one and the same throughout: it may change while we wait
    const policy = definition.subscription.deadLetter;
    if (!policy || this.pausedUntilMs(handle) > this.#parts.clock()) return [];
    const publishing = spent.map((delivery) => this.#publish(definition, policy, delivery));
    const published = await Promise.allSettled(publishing);
    const failed = published.find((result) => result.status === 'rejected');
    if (failed) this.#pause(handle, failed.reason);
    else handle.deadLetterPause = undefined;
    const forwarded = spent.filter((_, index) => published[index]!.status === 'fulfilled');
    this.#forwarded += forwarded.length;
    await this.#ack(definition, policy, forwarded);
    handle.pulls.wake(); // an ordering key may have come free
    return forwarded;
  }

  /** When forwarding from this subscription is tried again after a failure; 0 when nothing is in its way. */
  pausedUntilMs({ deadLetterPause }: SubscriptionHandle): number {
    return deadLetterPause?.untilMs ?? 0;
  }

  async #publish(definition: Definition, policy: DeadLetterPolicy, delivery: Delivery): Promise<void> {
    const source = { subscription: definition.subscription.name, policy, attempt: delivery.attempt };
    const message = deadLetterMessage(messageOf(delivery), source);
    await this.#parts.publisher.republish(policy.topic, message, dedupeKey(definition, delivery));
  }

  /** A key is let go only when the ack went through: else the message comes back, and must be recognised. */
  async #ack(definition: Definition, { topic }: DeadLetterPolicy, forwarded: readonly Delivery[]): Promise<void> {
    const { store, publisher, logger } = this.#parts;
    const { name } = definition.subscription;
    const ackOne = async (delivery: Delivery) => {
      const at = { subscription: name, partition: delivery.partition };
      const [outcome] = await store.ack(at, [delivery], { strict: false });
      if (outcome !== 'ok') return;
      const { orderingKey } = decodeRecord(delivery.record);
      await publisher.forget(dedupeKey(definition, delivery), { topic, orderingKey });
    };
    for (const result of await Promise.allSettled(forwarded.map(ackOne))) {
      if (result.status === 'rejected') {
        this.#failures++;
        logger.warn(
          { subscription: name, error: String(result.reason) },
          'a dead letter was not settled; it is tried again',
        );
      }
    }
  }

  #pause(handle: SubscriptionHandle, reason: unknown): void {
    const { bounds, clock, logger } = this.#parts;
    const waitedMs = handle.deadLetterPause?.waitMs ?? 0;
    const waitMs = Math.min(Math.max(waitedMs * 2, bounds.deadLetterRetryMsMin), bounds.deadLetterRetryMsMax);
    handle.deadLetterPause = { waitMs, untilMs: clock() + waitMs };
    this.#failures++;
    logger.warn(
      { subscription: handle.name, error: String(reason), retryInMs: waitMs },
      'a dead letter could not be forwarded; it stays in its subscription and is tried again',
    );
  }
}

export function messageOf({ record, offset, partition, publishMs }: Delivery): StoredMessage {
  const { data, attributes, orderingKey } = decodeRecord(record);
  return { data, attributes, orderingKey, messageId: messageIdOf(partition, offset), publishMs };
}

/** The epoch is part of it: after a seek a message may rightly be dead-lettered a second time. */
function dedupeKey({ subscriptionId }: Definition, { partition, epoch, offset }: Delivery): string {
  return `dead-letter/${subscriptionId}/${partition}/${epoch}/${offset}`;
}
