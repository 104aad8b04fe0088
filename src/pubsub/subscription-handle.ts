import type { LogRef, StoredSubscription } from '../store/store.ts';
import { type Definition, definitionOf } from './definition.ts';
import { PartitionLeases } from './partition-leases.ts';
import type { WaitingPulls } from './waiting-pulls.ts';

type LeaseParts = ConstructorParameters<typeof PartitionLeases>[0];

/** What this node remembers of a subscription: nothing that a restart would miss. */
export class SubscriptionHandle {
  readonly name: string;
  readonly pulls: WaitingPulls;
  /** Set when the catalog says that the definition changed; it is read anew before its next use. */
  stale = false;
  /** While forwarding its dead letters fails: until when to wait, and for how long that is. */
  deadLetterPause: { readonly untilMs: number; readonly waitMs: number } | undefined;
  /** When its use was last noted in the store. */
  touchedMs: number;
  readonly #parts: LeaseParts;
  #definition: Definition;
  #partitions: readonly PartitionLeases[] = [];
  #nextPartition = 0;
  /** What a waiting pull asked to be called after appends. */
  #wake: (() => void) | undefined;
  #stopsWatching: (() => void)[] = [];

  constructor(stored: StoredSubscription, parts: LeaseParts, makePulls: (handle: SubscriptionHandle) => WaitingPulls) {
    this.name = stored.subscription.name;
    this.#parts = parts;
    this.#definition = definitionOf(stored);
    this.touchedMs = stored.activeMs;
    this.#openPartitions();
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
    this.#openPartitions();
    return true;
  }

  get partitions(): readonly PartitionLeases[] {
    return this.#partitions;
  }

  /** Calls back after every append, on partitions that come later too. One watcher at a time. Returns the way to stop. */
  watch(wake: () => void): () => void {
    this.#wake = wake;
    for (let partition = 0; partition < this.#partitions.length; partition++) this.#watchLog(partition, wake);
    return () => {
      this.#wake = undefined;
      for (const stop of this.#stopsWatching.splice(0)) stop();
    };
  }

  /** All partitions, another one first each time, so that none is always served last. */
  *rotation(): Generator<PartitionLeases> {
    const first = this.#nextPartition;
    const partitions = this.#partitions; // there may be more of them before all had their turn
    this.#nextPartition = (first + 1) % partitions.length;
    for (let i = 0; i < partitions.length; i++) yield partitions[(first + i) % partitions.length]!;
  }

  /** Those that are not open yet; who waits for messages is told of appends there from now on. */
  #openPartitions(): void {
    const partitions = [...this.#partitions];
    while (partitions.length < this.#definition.partitions) {
      const partition = partitions.length;
      const at = { subscription: this.name, partition };
      partitions.push(new PartitionLeases(this.#parts, at, this.#log(partition)));
      if (this.#wake) this.#watchLog(partition, this.#wake);
    }
    this.#partitions = partitions;
  }

  #watchLog(partition: number, wake: () => void): void {
    this.#stopsWatching.push(this.#parts.store.onWake(this.#log(partition), wake));
  }

  #log(partition: number): LogRef {
    return { topicId: this.#definition.topicId, partition };
  }
}
