import { PubSubError } from '../../domain/errors.ts';
import type { LogRef, SubscriptionPartition } from '../store.ts';
import type { Catalog, Growth } from './catalog.ts';
import { Delivery } from './delivery.ts';
import type { Environment } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import type { BlockIds, LeaseLimits } from './lease-table.ts';
import { Log, type LogLimits } from './log.ts';

export type PartitionLimits = LogLimits & LeaseLimits;

/** The logs and deliveries that are in use, opened on first touch and kept until they are deleted. */
export class Partitions {
  readonly #env: Environment;
  readonly #catalog: Catalog;
  readonly #commit: GroupCommit;
  readonly #clock: () => number;
  readonly #limits: PartitionLimits;
  readonly #blockIds: BlockIds;
  readonly #logs = new Map<string, Log[]>();
  readonly #deliveries = new Map<string, Delivery[]>();

  constructor(
    env: Environment,
    catalog: Catalog,
    commit: GroupCommit,
    clock: () => number,
    limits: PartitionLimits,
    life: number,
  ) {
    this.#env = env;
    this.#catalog = catalog;
    this.#commit = commit;
    this.#clock = clock;
    this.#limits = limits;
    const first = life * 2 ** 32;
    let last = first;
    this.#blockIds = { first, next: () => last++ };
  }

  /** @throws NOT_FOUND */
  log({ topicId, partition }: LogRef): Log {
    const log = this.#logs.get(topicId)?.[partition];
    return log ?? this.#openLogs(topicId)[partition] ?? unknownLog(topicId, partition);
  }

  openLogs(): Log[] {
    return [...this.#logs.values()].flat();
  }

  /** The topic was deleted: its logs are only read from now on. */
  retireLogs(topicId: string): void {
    for (const log of this.#logs.get(topicId) ?? []) log.retired = true;
  }

  /** The topic has more partitions: who has its logs and deliveries open gets the new ones. */
  grow({ topicId, partitions, subscriptions }: Growth): void {
    if (this.#logs.has(topicId)) this.#openLogs(topicId);
    for (const log of this.#logs.get(topicId) ?? []) log.refusePlacedAmongFewer(partitions);
    for (const name of subscriptions) if (this.#deliveries.has(name)) this.#openDeliveries(name);
  }

  forgetLogs(topicId: string): void {
    this.#logs.delete(topicId);
  }

  /** @throws NOT_FOUND */
  delivery({ subscription, partition }: SubscriptionPartition): Delivery {
    const delivery = this.deliveries(subscription)[partition];
    if (!delivery) throw new PubSubError('NOT_FOUND', `${subscription} has no partition ${partition}.`);
    return delivery;
  }

  /** Those of one subscription, by partition. @throws NOT_FOUND */
  deliveries(name: string): Delivery[] {
    return this.#deliveries.get(name) ?? this.#openDeliveries(name);
  }

  openDeliveries(): Delivery[] {
    return [...this.#deliveries.values()].flat();
  }

  forgetDeliveries(name: string): void {
    this.#deliveries.delete(name);
  }

  /** Opens those that are not open yet. */
  #openDeliveries(name: string): Delivery[] {
    const stored = this.#catalog.subscription(name);
    if (!stored) throw new PubSubError('NOT_FOUND', `There is no subscription ${name}.`);
    const { subscriptionId, topicId, partitions, subscription } = stored;
    // A late ack from before a restart could leave a gap in a key's order, or confirm what is sent again.
    const strict = subscription.enableMessageOrdering || subscription.enableExactlyOnceDelivery;
    const blockIds = strict ? { ...this.#blockIds, first: 0 } : this.#blockIds;
    const deliveries = this.#deliveries.get(name) ?? [];
    for (let partition = deliveries.length; partition < partitions; partition++) {
      const log = this.log({ topicId, partition });
      deliveries.push(new Delivery(subscriptionId, log, this.#env, this.#commit, this.#clock, this.#limits, blockIds));
    }
    this.#deliveries.set(name, deliveries);
    return deliveries;
  }

  /** Opens those that are not open yet. */
  #openLogs(topicId: string): Log[] {
    for (const known of this.#catalog.logs()) {
      if (known.topicId !== topicId) continue;
      const logs = this.#logs.get(topicId) ?? [];
      for (let partition = logs.length; partition < known.partitions; partition++) {
        logs.push(new Log({ topicId, partition }, this.#env, this.#commit, this.#clock, this.#limits));
      }
      for (const log of logs) {
        log.refusePlacedAmongFewer(known.partitions);
        log.retired = this.#catalog.isOrphan(topicId);
      }
      this.#logs.set(topicId, logs);
      return logs;
    }
    return [];
  }
}

function unknownLog(topicId: string, partition: number): never {
  throw new PubSubError('NOT_FOUND', `The topic of log ${topicId}/${partition} is gone.`);
}
