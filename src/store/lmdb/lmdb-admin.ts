import { PubSubError } from '../../domain/errors.ts';
import type { Snapshot } from '../../domain/snapshot.ts';
import type { Subscription } from '../../domain/subscription.ts';
import type { Topic } from '../../domain/topic.ts';
import type { LogRef, Page, PageRequest, StoredSnapshot, StoredSubscription, StoredTopic } from '../store.ts';
import { stageReplacement } from './acked-store.ts';
import type { Catalog, Growth } from './catalog.ts';
import { type Environment, staged } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Partitions } from './partitions.ts';

/** The half of the store that names things: topics, subscriptions, snapshots, and who wants to hear of changes. */
export abstract class LmdbAdmin {
  protected readonly env: Environment;
  protected readonly clock: () => number;
  protected readonly commit: GroupCommit;
  protected readonly catalog: Catalog;
  protected readonly partitions: Partitions;
  protected closed = false;
  readonly #changed = new Set<(name: string | undefined) => void>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(env: Environment, clock: () => number, commit: GroupCommit, catalog: Catalog, partitions: Partitions) {
    this.env = env;
    this.clock = clock;
    this.commit = commit;
    this.catalog = catalog;
    this.partitions = partitions;
  }

  // Topics.

  createTopic(topic: Topic, partitions = 1): Promise<StoredTopic> {
    return this.changeCatalog([topic.name], () => this.catalog.stageTopic(topic, partitions));
  }

  updateTopic(topic: Topic): Promise<void> {
    return this.changeCatalog([topic.name], () => this.catalog.stageTopicUpdate(topic));
  }

  /**
   * One commit: the new logs are empty, and nothing of them is acked, neither by subscriptions nor in snapshots. Appends
   * that were placed among fewer partitions are turned away from the moment this commit is on disk.
   */
  async setPartitions(topic: string, partitions: number): Promise<void> {
    const stage = () => {
      const growth = this.catalog.stageGrowth(topic, partitions);
      for (const owner of growth.owners) {
        for (let partition = growth.before; partition < partitions; partition++) {
          staged(this.env.progress.put([owner, partition], { watermark: 1, epoch: 0 }));
        }
      }
      return growth;
    };
    const changed = ({ before, subscriptions }: Growth) => (before < partitions ? [topic, ...subscriptions] : []);
    await this.changeCatalog(changed, stage, (growth) => this.partitions.grow(growth));
  }

  async deleteTopic(name: string): Promise<void> {
    const stored = this.catalog.topic(name);
    const subscriptions = stored ? this.catalog.subscriptionsOf(stored.topicId) : [];
    await this.changeCatalog([name, ...subscriptions], () => this.catalog.stageTopicDeletion(name));
    if (stored) this.partitions.retireLogs(stored.topicId);
  }

  async topic(name: string): Promise<StoredTopic | undefined> {
    return this.catalog.topic(name);
  }

  async listTopics(page: PageRequest): Promise<Page<StoredTopic>> {
    return this.catalog.listTopics(page);
  }

  async listLogs(): Promise<readonly LogRef[]> {
    const logs: LogRef[] = [];
    for (const { topicId, partitions } of this.catalog.logs()) {
      for (let partition = 0; partition < partitions; partition++) logs.push({ topicId, partition });
    }
    return logs;
  }

  // Subscriptions.

  createSubscription(subscription: Subscription): Promise<StoredSubscription> {
    return this.changeCatalog([subscription.name], () => {
      const stored = this.catalog.stageSubscription(subscription, this.clock());
      for (let partition = 0; partition < stored.partitions; partition++) {
        const watermark = this.partitions.log({ topicId: stored.topicId, partition }).head;
        staged(this.env.progress.put([stored.subscriptionId, partition], { watermark, epoch: 0 }));
      }
      return stored;
    });
  }

  async updateSubscription(subscription: Subscription): Promise<void> {
    const { name } = subscription;
    await this.changeCatalog([name], () => this.catalog.stageSubscriptionUpdate(name, { subscription }));
  }

  async touchSubscription(name: string, activeMs: number): Promise<void> {
    await this.changeCatalog([], () => this.catalog.stageSubscriptionUpdate(name, { activeMs }));
  }

  async deleteSubscription(name: string): Promise<void> {
    const removal = this.changeCatalog([name], () => {
      this.catalog.stageSubscriptionDeletion(name);
      for (const delivery of this.partitions.deliveries(name)) delivery.stageRemoval();
    });
    await removal.finally(() => this.partitions.forgetDeliveries(name));
  }

  async subscription(name: string): Promise<StoredSubscription | undefined> {
    return this.catalog.subscription(name);
  }

  async listSubscriptions(page: PageRequest): Promise<Page<StoredSubscription>> {
    return this.catalog.listSubscriptions(page);
  }

  async subscriptionsOfTopic(topicId: string): Promise<readonly string[]> {
    return this.catalog.subscriptionsOf(topicId);
  }

  async snapshotsOfTopic(topicId: string): Promise<readonly string[]> {
    return this.catalog.snapshotsOf(topicId);
  }

  // Snapshots.

  createSnapshot(snapshot: Snapshot, subscription: string): Promise<StoredSnapshot> {
    return this.changeCatalog([], () => {
      const deliveries = this.partitions.deliveries(subscription);
      const { topicId } = this.catalog.subscription(subscription)!;
      const record = this.catalog.stageSnapshot(snapshot, topicId, deliveries.length);
      for (const delivery of deliveries) delivery.stageCopy(record.snapshotId);
      return record;
    });
  }

  updateSnapshot(snapshot: Snapshot): Promise<void> {
    return this.changeCatalog([], () => this.catalog.stageSnapshotUpdate(snapshot));
  }

  async deleteSnapshot(name: string): Promise<void> {
    await this.changeCatalog([], () => {
      const { snapshotId, partitions } = this.catalog.stageSnapshotDeletion(name);
      for (let partition = 0; partition < partitions; partition++) {
        stageReplacement(this.env, snapshotId, partition, undefined, 0);
      }
    });
  }

  async snapshot(name: string): Promise<StoredSnapshot | undefined> {
    return this.catalog.snapshot(name);
  }

  async listSnapshots(page: PageRequest): Promise<Page<StoredSnapshot>> {
    return this.catalog.listSnapshots(page);
  }

  onCatalogChange(changed: (name: string | undefined) => void): () => void {
    const own = (name: string | undefined) => changed(name);
    this.#changed.add(own);
    return () => this.#changed.delete(own);
  }

  /**
   * One catalogue change per commit: its checks see everything that was written before.
   * @param names whom it changes, perhaps told only by what was made
   * @param onDisk see `GroupCommit.exec`
   */
  protected changeCatalog<T>(
    names: readonly string[] | ((made: T) => readonly string[]),
    stage: () => T,
    onDisk?: (made: T) => void,
  ): Promise<T> {
    const change = this.#turn.then(async () => {
      this.mustBeOpen();
      const made = await this.commit.exec(stage, onDisk);
      const changes = typeof names === 'function' ? names(made) : names;
      for (const name of changes) for (const changed of this.#changed) changed(name);
      return made;
    });
    this.#turn = change.catch(() => undefined);
    return change;
  }

  protected mustBeOpen(): void {
    if (this.closed) throw new PubSubError('UNAVAILABLE', 'Headwater is stopping; try again in a moment.');
  }
}
