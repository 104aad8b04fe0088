import type { LogRef, StoredSubscription } from '../store/store.ts';
import { type Definition, definitionOf } from './definition.ts';
import { PartitionLeases } from './partition-leases.ts';
import type { WaitingPulls } from './waiting-pulls.ts';

type LeaseParts = ConstructorParameters<typeof PartitionLeases>[0];

/** What this node remembers of a subscription: nothing that a restart would miss. */
export class SubscriptionHandle {
  readonly name: string;
  readonly partitions: readonly PartitionLeases[];
  readonly pulls: WaitingPulls;
  /** Set when the catalog says that the definition changed; it is read anew before its next use. */
  stale = false;
  /** While forwarding its dead letters fails: until when to wait, and for how long that is. */
  deadLetterPause: { readonly untilMs: number; readonly waitMs: number } | undefined;
  /** When its use was last noted in the store. */
  touchedMs: number;
  #definition: Definition;
  #nextPartition = 0;

  constructor(stored: StoredSubscription, parts: LeaseParts, makePulls: (handle: SubscriptionHandle) => WaitingPulls) {
    this.name = stored.subscription.name;
    this.#definition = definitionOf(stored);
    this.touchedMs = stored.activeMs;
    this.partitions = this.logs().map((log) => {
      const at = { subscription: this.name, partition: log.partition };
      return new PartitionLeases(parts, at, log);
    });
    this.pulls = makePulls(this);
  }

  get definition(): Definition {
    return this.#definition;
  }

  /** @returns false when the name now belongs to another subscription */
  redefine(stored: StoredSubscription): boolean {
    if (stored.subscriptionId !== this.#definition.subscriptionId) return false;
    this.#definition = definitionOf(stored);
    this.deadLetterPause = undefined; // the policy may name another topic now
    return true;
  }

  logs(): LogRef[] {
    const { topicId, partitions } = this.#definition;
    return Array.from({ length: partitions }, (_, partition) => ({ topicId, partition }));
  }

  /** All partitions, another one first each time, so that none is always served last. */
  *rotation(): Generator<PartitionLeases> {
    const first = this.#nextPartition;
    this.#nextPartition = (first + 1) % this.partitions.length;
    for (let i = 0; i < this.partitions.length; i++) yield this.partitions[(first + i) % this.partitions.length]!;
  }
}
