import type { LogRef, Store, StoredTopic } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PubSubBounds } from './bounds.ts';
import type { EarlierPartitions } from './earlier-partitions.ts';
import { Placement } from './placement.ts';
import type { PublishCall, PublishCounts } from './publish-call.ts';
import { noTopic } from './refusals.ts';
import type { Schedule } from './schedule.ts';
import { TopicHandle } from './topic-handle.ts';

export interface TopicHandlesOptions {
  readonly store: Store;
  readonly earlierPartitions: EarlierPartitions;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly bounds: PubSubBounds;
}

/**
 * The topics that this node publishes to, by name. At the bound the one that was looked up first and has nothing on
 * its way goes.
 */
export class TopicHandles {
  readonly #options: TopicHandlesOptions;
  readonly #handles = new Map<string, TopicHandle>();
  readonly #warned = new Set<string>();
  readonly #stopWatching: () => void;
  readonly #counts: PublishCounts = { messages: 0, failures: 0, placedAgain: 0, recalls: 0 };
  #evictions = 0;
  #unread = 0;

  constructor(options: TopicHandlesOptions) {
    this.#options = options;
    this.#stopWatching = options.store.onCatalogChange((name) => this.#changed(name));
  }

  counters() {
    return {
      publishedMessages: this.#counts.messages,
      publishFailures: this.#counts.failures,
      publishesPlacedAgain: this.#counts.placedAgain,
      dedupeRecalls: this.#counts.recalls,
      topicHandles: this.#handles.size,
      topicHandleEvictions: this.#evictions,
      unreadTopicsSeen: this.#unread,
    };
  }

  /** Resolves when it is durable; the call then says where it is. @throws NOT_FOUND, UNAVAILABLE */
  append(topic: string, call: PublishCall): Promise<void> {
    return this.#handle(topic).append(call);
  }

  /** Every log that may remember the dedupe key of what was placed by `key`. @throws NOT_FOUND */
  logsOf(topic: string, key: string): Promise<readonly LogRef[]> {
    return this.#handle(topic).logsOf(key);
  }

  close(): void {
    this.#stopWatching();
  }

  #handle(topic: string): TopicHandle {
    const known = this.#handles.get(topic);
    if (known) return known;
    const { store, schedule, bounds } = this.#options;
    const read = () => this.#read(topic, handle);
    const handle = new TopicHandle(topic, { store, schedule, bounds, counts: this.#counts, read });
    this.#handles.set(topic, handle);
    return handle;
  }

  async #read(topic: string, handle: TopicHandle): Promise<Placement> {
    const stored = await this.#options.store.topic(topic);
    if (!stored) {
      if (this.#handles.get(topic) === handle) this.#handles.delete(topic);
      throw noTopic(topic);
    }
    await this.#warnIfUnread(stored);
    const { topicId, partitions } = stored;
    this.#evict();
    return new Placement(topicId, partitions, await this.#options.earlierPartitions.of(topicId, partitions));
  }

  #evict(): void {
    for (const [topic, handle] of this.#handles) {
      if (this.#handles.size <= this.#options.bounds.topicHandlesMax) return;
      if (!handle.idle) continue;
      this.#handles.delete(topic);
      this.#evictions++;
    }
  }

  /** What nobody subscribes to is trimmed at the next retention sweep: worth one line, since it looks like a loss. */
  async #warnIfUnread({ topic, topicId }: StoredTopic): Promise<void> {
    const { store, bounds, logger } = this.#options;
    if (topic.messageRetentionMs !== undefined) return;
    if ((await store.subscriptionsOfTopic(topicId)).length > 0) return;
    this.#unread++;
    if (this.#warned.has(topic.name) || this.#warned.size >= bounds.unreadTopicWarningsMax) return;
    this.#warned.add(topic.name);
    logger.warn(
      { topic: topic.name },
      'messages are published to a topic that has no subscription and no retention; they are dropped: create a subscription first',
    );
  }

  /** A subscription that came or went may change who reads a topic: those are rare, so all topics are looked up anew. */
  #changed(name: string | undefined): void {
    if (name === undefined || name.includes('/subscriptions/'))
      for (const topic of this.#handles.keys()) this.#renew(topic);
    else this.#renew(name);
  }

  #renew(topic: string): void {
    const handle = this.#handles.get(topic);
    if (handle?.idle) this.#handles.delete(topic);
    else handle?.invalidate();
  }
}
