import type { Snapshot } from '../../domain/snapshot.ts';
import type { Subscription } from '../../domain/subscription.ts';
import type { LogRef, StoredSnapshot, StoredSubscription } from '../store.ts';
import type { Added } from './catalog-edits.ts';
import type { Reader } from './catalog-keys.ts';
import type { SnapshotRecord } from './catalog-row.ts';
import { alreadyExists, isNotFound, logsOf, notFound, onEach, untilSettled } from './naming.ts';
import type { NamingParts } from './topics.ts';

/** A snapshot takes milliseconds; who dies while making one keeps the log from being trimmed for this long. */
const holdMs = 60_000;

/**
 * Subscriptions and snapshots: what has a state on each partition of a topic; see `naming.ts` for the order of steps.
 *
 * A snapshot that is being made has no name yet that a trim would respect, so its log is held (`hold.lua`) from before
 * the copy until after the name; see `Trimming`.
 */
export class Readers {
  readonly #parts: NamingParts;

  constructor(parts: NamingParts) {
    this.#parts = parts;
  }

  async createSubscription(subscription: Subscription): Promise<StoredSubscription> {
    const { catalog, edits, states, newId, nowMs, changed } = this.#parts;
    const { name, topic: topicName } = subscription;
    const made = await untilSettled(topicName, async () => {
      const topic = await catalog.topic(topicName);
      if (!topic) throw notFound('topic', topicName);
      if (await catalog.subscription(name)) throw alreadyExists('subscription', name);
      const { topicId, partitions } = topic;
      const subscriptionId = `s${newId()}`;
      const stored: StoredSubscription = { subscription, subscriptionId, topicId, partitions, activeMs: await nowMs() };
      const create = (log: LogRef) => states.create(log, subscriptionId);
      const give = () => edits.addSubscription(stored);
      const added = await this.#named(logsOf(topicId, 0, partitions), subscriptionId, create, give);
      if (added === 'exists') throw alreadyExists('subscription', name);
      if (added === 'gone') throw notFound('topic', topicName);
      return added === 'ok' ? stored : undefined;
    });
    changed([name]);
    return made;
  }

  async updateSubscription(subscription: Subscription): Promise<void> {
    const { edits, changed } = this.#parts;
    if (!(await edits.updateSubscription(subscription))) throw notFound('subscription', subscription.name);
    changed([subscription.name]);
  }

  async touchSubscription(name: string, activeMs: number): Promise<void> {
    if (!(await this.#parts.edits.touch(name, activeMs))) throw notFound('subscription', name);
  }

  async deleteSubscription(name: string): Promise<void> {
    const { subscriptionId, topicId, partitions } = await this.#parts.catalog.existingSubscription(name);
    await this.#remove('subscriptions', name, subscriptionId, topicId, partitions);
    this.#parts.changed([name]);
  }

  createSnapshot(snapshot: Snapshot, subscription: string): Promise<StoredSnapshot> {
    return untilSettled(snapshot.topic, async () => {
      const of = await this.#parts.catalog.existingSubscription(subscription);
      if (await this.#parts.catalog.snapshot(snapshot.name)) throw alreadyExists('snapshot', snapshot.name);
      const { topicId, partitions } = of;
      const made: SnapshotRecord = { snapshot, topicId, snapshotId: `n${this.#parts.newId()}`, partitions };
      const added = await this.#copied(made, of);
      if (added === 'exists') throw alreadyExists('snapshot', snapshot.name);
      if (added === 'gone') throw notFound('subscription', subscription);
      return added === 'ok' ? made : undefined;
    });
  }

  async updateSnapshot(snapshot: Snapshot): Promise<void> {
    const { name } = snapshot;
    const record = await this.#parts.catalog.snapshot(name);
    const updated = record && (await this.#parts.edits.updateSnapshot(snapshot, record.partitions));
    if (!updated) throw notFound('snapshot', name);
  }

  async deleteSnapshot(name: string): Promise<void> {
    const record = await this.#parts.catalog.snapshot(name);
    if (!record) throw notFound('snapshot', name);
    await this.#remove('snapshots', name, record.snapshotId, record.topicId, record.partitions);
  }

  /** Makes state on the logs, then gives it its name; without the name the state goes again. */
  async #named(
    logs: readonly LogRef[],
    id: string,
    create: (log: LogRef) => Promise<void>,
    give: () => Promise<Added>,
  ): Promise<Added> {
    const removeAll = () => onEach(logs, (log) => this.#parts.states.remove(log, id));
    try {
      await onEach(logs, create);
    } catch (error) {
      await removeAll();
      if (isNotFound(error)) return 'gone';
      throw error;
    }
    const added = await give();
    if (added !== 'ok') await removeAll();
    return added;
  }

  async #copied(made: SnapshotRecord, of: StoredSubscription): Promise<Added> {
    const { edits, logs, states } = this.#parts;
    const { snapshotId } = made;
    const all = logsOf(made.topicId, 0, made.partitions);
    await onEach(all, (log) => logs.hold(log, snapshotId, holdMs));
    const copy = (log: LogRef) => states.snapshot(log, of.subscriptionId, snapshotId);
    const added = await this.#named(all, snapshotId, copy, () => edits.addSnapshot(made, of));
    await onEach(all, (log) => logs.hold(log, snapshotId, 0));
    return added;
  }

  async #remove(kind: Reader, name: string, id: string, topicId: string, partitions: number): Promise<void> {
    const removeFrom = (logs: readonly LogRef[]) => onEach(logs, (log) => this.#parts.states.remove(log, id));
    await removeFrom(logsOf(topicId, 0, partitions));
    const now = await this.#parts.edits.removeReader(kind, name, id, topicId);
    if (now === 0) throw notFound(kind === 'snapshots' ? 'snapshot' : 'subscription', name);
    await removeFrom(logsOf(topicId, partitions, now)); // the topic may have grown meanwhile
  }
}
