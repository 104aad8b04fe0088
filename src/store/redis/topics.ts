import { cannotShrink } from '../../domain/partitions.ts';
import type { Topic } from '../../domain/topic.ts';
import type { LogRef, StoredTopic } from '../store.ts';
import type { Catalog } from './catalog.ts';
import type { CatalogEdits, Regrouped } from './catalog-edits.ts';
import type { Logs } from './log.ts';
import { alreadyExists, logsOf, notFound, onEach, untilSettled } from './naming.ts';
import type { SubscriptionStates } from './subscription-state.ts';

export interface NamingParts {
  readonly catalog: Catalog;
  readonly edits: CatalogEdits;
  readonly logs: Logs;
  readonly states: SubscriptionStates;
  readonly newId: () => string;
  readonly nowMs: () => Promise<number>;
  /** Told the names that a change of this node touched; other nodes hear of them by the channel. */
  readonly changed: (names: readonly string[]) => void;
}

/** Topics and their logs; see `naming.ts` for the order of steps. */
export class Topics {
  readonly #parts: NamingParts;
  readonly #growing = new Map<string, Promise<void>>();

  constructor(parts: NamingParts) {
    this.#parts = parts;
  }

  async create(topic: Topic, partitions: number): Promise<StoredTopic> {
    const { catalog, edits, logs, newId, changed } = this.#parts;
    if (await catalog.topic(topic.name)) throw alreadyExists('topic', topic.name);
    const made: StoredTopic = { topic, topicId: `t${newId()}`, partitions };
    const all = logsOf(made.topicId, 0, partitions);
    await onEach(all, (log) => logs.create(log, partitions));
    if ((await edits.addTopic(made)) === 'exists') {
      await onEach(all, (log) => logs.unmake(log));
      throw alreadyExists('topic', topic.name);
    }
    changed([topic.name]);
    return made;
  }

  async update(topic: Topic): Promise<void> {
    if (!(await this.#parts.edits.updateTopic(topic))) throw notFound('topic', topic.name);
    this.#parts.changed([topic.name]);
  }

  async setPartitions(name: string, partitions: number): Promise<void> {
    const readers = await untilSettled(name, async () => {
      const stored = await this.#stored(name);
      if (partitions < stored.partitions) throw cannotShrink(name, stored.partitions, partitions);
      if (partitions === stored.partitions) return 'nothing to do';
      const grown = await this.#grow(stored, partitions);
      return grown.status === 'ok' ? grown.readers : undefined;
    });
    if (readers !== 'nothing to do') this.#parts.changed([name, ...readers]);
  }

  /** A fence stands at `partitions`: unless the catalogue says the same, somebody died while growing the topic. */
  completeGrowth(topicId: string, partitions: number): Promise<void> {
    const growing = this.#growing.get(topicId) ?? this.#completeGrowth(topicId, partitions);
    this.#growing.set(topicId, growing);
    return growing.finally(() => this.#growing.delete(topicId));
  }

  async delete(name: string): Promise<void> {
    const { edits, logs, changed } = this.#parts;
    const readers = await untilSettled(name, async () => {
      const stored = await this.#stored(name);
      await onEach(logsOf(stored.topicId, 0, stored.partitions), (log) => logs.retire(log));
      const removed = await edits.removeTopic(stored);
      return removed.status === 'ok' ? removed.readers : undefined;
    });
    changed([name, ...readers]);
  }

  /** Every log there is, those of deleted topics included. */
  async listLogs(): Promise<readonly LogRef[]> {
    const topics = await this.#parts.catalog.logs();
    return topics.flatMap(({ topicId, partitions }) => logsOf(topicId, 0, partitions));
  }

  /**
   * Removes what a deleted topic has left, once nobody reads it and it is empty: its logs first, then that there are any.
   * Logs that are gone already do not stop it, so a later call completes what a crash cut short.
   */
  async dropOrphan(topicId: string): Promise<void> {
    const { catalog, edits, logs } = this.#parts;
    if (!(await catalog.isOrphan(topicId))) return;
    // Nobody can join any more: a subscription needs the topic's name, a snapshot needs a subscription.
    const subscriptions = await catalog.readersOf('subscriptions', topicId);
    const snapshots = await catalog.readersOf('snapshots', topicId);
    if (subscriptions.length + snapshots.length > 0) return;
    const partitions = await catalog.partitionsOf(topicId);
    const dropped = await onEach(logsOf(topicId, 0, partitions), (log) => logs.drop(log));
    if (dropped.every((gone) => gone)) await edits.dropLog(topicId);
  }

  async #stored(name: string): Promise<StoredTopic> {
    const stored = await this.#parts.catalog.topic(name);
    if (!stored) throw notFound('topic', name);
    return stored;
  }

  async #grow(stored: StoredTopic, partitions: number): Promise<Regrouped> {
    const { catalog, edits, logs, states } = this.#parts;
    const { topicId, partitions: before } = stored;
    const added = logsOf(topicId, before, partitions);
    await onEach(logsOf(topicId, 0, before), (log) => logs.fence(log, partitions));
    await onEach(added, (log) => logs.create(log, partitions));
    const equipped = await catalog.readerIdsOf('subscriptions', topicId);
    for (const { id } of equipped) await onEach(added, (log) => states.create(log, id, 1));
    const names = equipped.map(({ name }) => name);
    const grown = await edits.grow(stored, partitions, names);
    if (grown.status !== 'ok') return grown;
    const gone = equipped.filter(({ name }) => !grown.readers.includes(name));
    for (const { id } of gone) await onEach(added, (log) => states.remove(log, id));
    return grown;
  }

  async #completeGrowth(topicId: string, partitions: number): Promise<void> {
    const { catalog } = this.#parts;
    const known = await catalog.partitionsOf(topicId);
    if (known === 0 || known >= partitions) return;
    for (let after: string | undefined; ; ) {
      const page = await catalog.listTopics({ prefix: '', limit: 1000, ...(after ? { after } : {}) });
      const found = page.items.find((it) => it.topicId === topicId);
      if (found) return this.setPartitions(found.topic.name, partitions);
      if (!page.more) return;
      after = page.items.at(-1)!.topic.name;
    }
  }
}
