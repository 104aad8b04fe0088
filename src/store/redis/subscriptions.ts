import { PubSubError } from '../../domain/errors.ts';
import type { SubscriptionPartition } from '../store.ts';
import type { Catalog } from './catalog.ts';
import { Delivery } from './delivery.ts';
import type { Keys } from './keys.ts';
import type { Link } from './link.ts';
import { isNotFound, logsOf, notFound, onEach } from './naming.ts';
import { stateKeys } from './subscription-state-keys.ts';

interface Known {
  readonly subscriptionId: string;
  readonly topicId: string;
  readonly deliveries: Delivery[];
}

/** Subscriptions whose ids are remembered; the one that was looked up first is forgotten. */
const knownMax = 10_000;

/**
 * From names to what subscriptions have on their partitions. Ids are never used again, so remembering them is safe: when
 * the state of one is gone, the name is looked up once more, and only then there is no such subscription.
 */
export class Subscriptions {
  readonly #link: Link;
  readonly #keys: Keys;
  readonly #catalog: Catalog;
  readonly #known = new Map<string, Known>();
  #limitHitsBefore = 0;

  constructor(link: Link, keys: Keys, catalog: Catalog) {
    this.#link = link;
    this.#keys = keys;
    this.#catalog = catalog;
  }

  get limitHits(): number {
    return this.#limitHitsBefore + [...this.#known.values()].reduce((sum, known) => sum + hitsOf(known), 0);
  }

  /** @throws NOT_FOUND, and whatever `use` throws */
  async use<T>({ subscription, partition }: SubscriptionPartition, use: (it: Delivery) => Promise<T>): Promise<T> {
    const known = this.#known.get(subscription);
    if (!known) return use(this.#delivery(subscription, await this.#lookUp(subscription), partition));
    try {
      return await use(this.#delivery(subscription, known, partition));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const found = await this.#lookUp(subscription);
      if (found.subscriptionId === known.subscriptionId) throw error;
      return use(this.#delivery(subscription, found, partition));
    }
  }

  /**
   * Restores the acked state that a snapshot kept, on every partition. On those that the topic got after the snapshot,
   * nothing was acked when it was taken.
   * @throws NOT_FOUND either; FAILED_PRECONDITION another topic's snapshot
   */
  async restore(subscription: string, snapshot: string): Promise<void> {
    const { topicId, partitions } = await this.#catalog.existingSubscription(subscription);
    const record = await this.#catalog.snapshot(snapshot);
    if (!record) throw notFound('snapshot', snapshot);
    if (record.topicId !== topicId) throw ofAnotherTopic(subscription, snapshot);
    await onEach(logsOf(topicId, 0, partitions), (log) => {
      const kept = log.partition < record.partitions;
      const from = stateKeys(this.#keys, log, record.snapshotId);
      const at = { subscription, partition: log.partition };
      return this.use(at, (delivery) => (kept ? delivery.restore(from) : delivery.seek(1)));
    });
  }

  /** @param name undefined: any may have changed */
  forget(name: string | undefined): void {
    const known = name === undefined ? [...this.#known.values()] : [this.#known.get(name)];
    for (const it of known) if (it) this.#limitHitsBefore += hitsOf(it);
    if (name === undefined) this.#known.clear();
    else this.#known.delete(name);
  }

  async #lookUp(name: string): Promise<Known> {
    const { subscriptionId, topicId } = await this.#catalog.existingSubscription(name);
    const same = this.#known.get(name);
    if (same?.subscriptionId === subscriptionId) return same;
    this.forget(name);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= knownMax) this.forget(oldest);
    const known: Known = { subscriptionId, topicId, deliveries: [] };
    this.#known.set(name, known);
    return known;
  }

  #delivery(name: string, { subscriptionId, topicId, deliveries }: Known, partition: number): Delivery {
    deliveries[partition] ??= new Delivery(this.#link, this.#keys, { topicId, partition }, subscriptionId, name);
    return deliveries[partition];
  }
}

function ofAnotherTopic(subscription: string, snapshot: string): PubSubError {
  const text = `The snapshot ${snapshot} is of another topic than ${subscription}; seek to one of its own topic.`;
  return new PubSubError('FAILED_PRECONDITION', text);
}

function hitsOf({ deliveries }: Known): number {
  return deliveries.reduce((sum, delivery) => sum + (delivery?.limitHits ?? 0), 0);
}
