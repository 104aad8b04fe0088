import { checkProject, parseResourceName } from '../domain/resource-name.ts';
import { checkPartitions, checkTopic, type Topic, updatedTopic } from '../domain/topic.ts';
import type { Store, StoredTopic } from '../store/store.ts';
import { listed, pageOfNames, pageRequest } from './paging.ts';
import type { Listed, ListRequest, PageOptions, Topics } from './pubsub.ts';
import { noTopic } from './refusals.ts';
import type { Turn } from './turn.ts';

/** Topics by name: the rules of `domain/topic.ts` in front of the store. */
export class TopicAdmin implements Topics {
  readonly #store: Store;
  readonly #changes: Turn;

  /** @param changes a change reads, checks and writes; two of them must not mix, of whatever kind. */
  constructor(store: Store, changes: Turn) {
    this.#store = store;
    this.#changes = changes;
  }

  async create(topic: Topic, partitions = 1): Promise<Topic> {
    checkTopic(topic);
    checkPartitions(partitions);
    return (await this.#store.createTopic(topic, partitions)).topic;
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
      const updated = updatedTopic(await this.get(topic.name), topic, paths);
      await this.#store.updateTopic(updated);
      return updated;
    });
  }

  async delete(name: string): Promise<void> {
    parseResourceName('topics', name);
    await this.#changes.run(() => this.#store.deleteTopic(name));
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

  async #stored(name: string): Promise<StoredTopic> {
    parseResourceName('topics', name);
    const stored = await this.#store.topic(name);
    if (!stored) throw noTopic(name);
    return stored;
  }
}
