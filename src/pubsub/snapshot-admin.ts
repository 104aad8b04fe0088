import { checkLabels, type Labels } from '../domain/labels.ts';
import { checkProject, parseResourceName } from '../domain/resource-name.ts';
import { type Snapshot, snapshotExpireMs, updatedSnapshot } from '../domain/snapshot.ts';
import type { Store } from '../store/store.ts';
import { listed, pageRequest } from './paging.ts';
import type { Listed, ListRequest, Snapshots } from './pubsub.ts';
import { isDetached, noSnapshot, noSubscription } from './refusals.ts';
import type { Turn } from './turn.ts';

/** Snapshots by name: the rules of `domain/snapshot.ts` in front of the store. */
export class SnapshotAdmin implements Snapshots {
  readonly #store: Store;
  readonly #changes: Turn;

  /** @param changes a change reads, checks and writes; two of them must not mix, of whatever kind. */
  constructor(store: Store, changes: Turn) {
    this.#store = store;
    this.#changes = changes;
  }

  async create(name: string, subscription: string, labels: Labels): Promise<Snapshot> {
    parseResourceName('snapshots', name);
    parseResourceName('subscriptions', subscription);
    checkLabels(labels);
    const stored = await this.#store.subscription(subscription);
    if (!stored) throw noSubscription(subscription);
    if (stored.subscription.detached) throw isDetached(subscription);
    const { oldestUnackedMs } = await this.#store.stats(subscription);
    const expireMs = snapshotExpireMs(await this.#store.nowMs(), oldestUnackedMs);
    const snapshot = { name, topic: stored.subscription.topic, labels, expireMs };
    return (await this.#store.createSnapshot(snapshot, subscription)).snapshot;
  }

  async get(name: string): Promise<Snapshot> {
    parseResourceName('snapshots', name);
    const stored = await this.#store.snapshot(name);
    if (!stored) throw noSnapshot(name);
    return stored.snapshot;
  }

  async list({ project, ...page }: ListRequest): Promise<Listed<Snapshot>> {
    checkProject(project);
    const { items, more } = await this.#store.listSnapshots(pageRequest(`${project}/snapshots/`, page));
    return listed({ items: items.map(({ snapshot }) => snapshot), more }, ({ name }) => name);
  }

  async update(snapshot: Snapshot, paths: readonly string[]): Promise<Snapshot> {
    return this.#changes.run(async () => {
      const current = await this.get(snapshot.name);
      const updated = updatedSnapshot(current, snapshot, paths, await this.#store.nowMs());
      await this.#store.updateSnapshot(updated);
      return updated;
    });
  }

  async delete(name: string): Promise<void> {
    parseResourceName('snapshots', name);
    await this.#store.deleteSnapshot(name);
  }
}
