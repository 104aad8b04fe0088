import { cannotShrink, checkPartitions, partitionsByLabel, partitionsLabel } from '../domain/partitions.ts';
import { checkProject, parseResourceName } from '../domain/resource-name.ts';
import { checkTopic, type Topic, updatedTopic } from '../domain/topic.ts';
import type { Store, StoredTopic } from '../store/store.ts';
import type { EarlierPartitions } from './earlier-partitions.ts';
import { listed, pageOfNames, pageRequest } from './paging.ts';
import type { Listed, ListRequest, PageOptions, Topics } from './pubsub.ts';
import { noTopic } from './refusals.ts';
import type { Turn } from './turn.ts';

export interface TopicAdminOptions {
  readonly store: Store;
  /** A change reads, checks and writes; two of them must not mix, of whatever kind. */
  readonly changes: Turn;
  readonly earlierPartitions: EarlierPartitions;
  /** Of a topic that is made without saying how many. */
  readonly partitionsDefault: number;
}

/** Topics by name: the rules of `domain/topic.ts` in front of the store. */
export class TopicAdmin implements Topics {
  readonly #store: Store;
  readonly #changes: Turn;
  readonly #earlierPartitions: EarlierPartitions;
  readonly #partitionsDefault: number;

  constructor({ store, changes, earlierPartitions, partitionsDefault }: TopicAdminOptions) {
    this.#store = store;
    this.#changes = changes;
    this.#earlierPartitions = earlierPartitions;
    this.#partitionsDefault = partitionsDefault;
  }

  async create(topic: Topic, partitions?: number): Promise<Topic> {
    checkTopic(topic);
    const wanted = partitions ?? partitionsByLabel(topic.labels) ?? this.#partitionsDefault;
    checkPartitions(wanted);
    return (await this.#store.createTopic(topic, wanted)).topic;
  }

  async partitions(name: string): Promise<number> {
    return (await this.#stored(name)).partitions;
  }

  async setPartitions(name: string, partitions: number): Promise<void> {
    checkPartitions(partitions);
    await this.#changes.run(async () => this.#grow(await this.#stored(name), partitions));
  }

  async get(name: string): Promise<Topic> {
    return (await this.#stored(name)).topic;
  }

  async list({ project, ...page }: ListRequest): Promise<Listed<Topic>> {
    checkProject(project);
    const { items, more } = await this.#store.listTopics(pageRequest(`${project}/topics/`, page));
    return listed({ items: items.map(({ topic }) => topic), more }, ({ name }) => name);
  }

  async update(topic: Topic, paths: readonly string[]): Promise<Topic> {
    return this.#changes.run(async () => {
      const stored = await this.#stored(topic.name);
      const updated = updatedTopic(stored.topic, topic, paths);
      if (updated.labels[partitionsLabel] !== stored.topic.labels[partitionsLabel]) {
        const wanted = partitionsByLabel(updated.labels);
        if (wanted !== undefined) await this.#grow(stored, wanted); // first: a label that is stored has come true
      }
      await this.#store.updateTopic(updated);
      return updated;
    });
  }

  async delete(name: string): Promise<void> {
    parseResourceName('topics', name);
    await this.#changes.run(async () => {
      const { topicId } = await this.#stored(name);
      await this.#store.deleteTopic(name);
      await this.#earlierPartitions.forget(topicId);
    });
  }

  /** google.pubsub.v1 ListTopicSubscriptions: the *attached* ones. */
  async listSubscriptions(name: string, page: PageOptions): Promise<Listed<string>> {
    const { topicId } = await this.#stored(name);
    const attached: string[] = [];
    for (const subscription of await this.#store.subscriptionsOfTopic(topicId)) {
      const stored = await this.#store.subscription(subscription);
      if (stored && !stored.subscription.detached) attached.push(subscription);
    }
    return pageOfNames(attached, page);
  }

  async listSnapshots(name: string, page: PageOptions): Promise<Listed<string>> {
    const { topicId } = await this.#stored(name);
    return pageOfNames(await this.#store.snapshotsOfTopic(topicId), page);
  }

  async #grow({ topic, topicId, partitions: before }: StoredTopic, partitions: number): Promise<void> {
    if (partitions < before) throw cannotShrink(topic.name, before, partitions);
    if (partitions > before) await this.#earlierPartitions.note(topicId, before, partitions);
    await this.#store.setPartitions(topic.name, partitions);
  }

  async #stored(name: string): Promise<StoredTopic> {
    parseResourceName('topics', name);
    const stored = await this.#store.topic(name);
    if (!stored) throw noTopic(name);
    return stored;
  }
}
