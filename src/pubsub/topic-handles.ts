import type { LogRef, Store, StoredTopic } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PubSubBounds } from './bounds.ts';
import { noTopic } from './refusals.ts';

/** Where a topic's messages go. */
export interface TopicHandle {
  readonly topic: string;
  readonly logs: readonly LogRef[];
  /** Partition of the next batch that has no key. */
  nextPartition: number;
}

/** Publishes that wait for a handle, in the order they came. */
interface Loading {
  readonly waiting: { readonly use: (handle: TopicHandle) => void; readonly fail: (error: unknown) => void }[];
  /** The topic changed meanwhile: the handle serves those who wait, and is not kept. */
  overtaken: boolean;
}

/**
 * The topics that this node publishes to, by name. The way through here must not change the order of publishes: those
 * that wait for a handle all go, in order, before it is there for the next one (I7).
 */
export class TopicHandles {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #bounds: PubSubBounds;
  readonly #handles = new Map<string, TopicHandle>();
  readonly #loading = new Map<string, Loading>();
  readonly #warned = new Set<string>();
  readonly #stopWatching: () => void;
  #evictions = 0;
  #unread = 0;

  constructor(store: Store, logger: Logger, bounds: PubSubBounds) {
    this.#store = store;
    this.#logger = logger;
    this.#bounds = bounds;
    this.#stopWatching = store.onCatalogChange((name) => this.#changed(name));
  }

  counters() {
    return { topicHandles: this.#handles.size, topicHandleEvictions: this.#evictions, unreadTopicsSeen: this.#unread };
  }

  /** The handle if it is at hand and nobody waits for it. */
  known(topic: string): TopicHandle | undefined {
    return this.#handles.get(topic);
  }

  /** Runs `job` with the handle, after every job that came before. @throws NOT_FOUND */
  use<T>(topic: string, job: (handle: TopicHandle) => Promise<T>): Promise<T> {
    const handle = this.#handles.get(topic);
    if (handle) return job(handle);
    return new Promise<T>((resolve, reject) => {
      const use = (loaded: TopicHandle) => void job(loaded).then(resolve, reject);
      this.#load(topic).waiting.push({ use, fail: reject });
    });
  }

  forget(topic: string): void {
    this.#handles.delete(topic);
  }

  close(): void {
    this.#stopWatching();
  }

  #load(topic: string): Loading {
    const underWay = this.#loading.get(topic);
    if (underWay) return underWay;
    const loading: Loading = { waiting: [], overtaken: false };
    this.#loading.set(topic, loading);
    const finish = (settle: (waiter: Loading['waiting'][number]) => void) => {
      this.#loading.delete(topic);
      loading.waiting.forEach(settle);
    };
    this.#read(topic).then(
      (handle) => {
        finish(({ use }) => use(handle));
        if (!loading.overtaken) this.#keep(handle);
      },
      (error: unknown) => finish(({ fail }) => fail(error)),
    );
    return loading;
  }

  async #read(topic: string): Promise<TopicHandle> {
    const stored = await this.#store.topic(topic);
    if (!stored) throw noTopic(topic);
    await this.#warnIfUnread(stored);
    const { topicId, partitions } = stored;
    const logs = Array.from({ length: partitions }, (_, partition) => ({ topicId, partition }));
    return { topic, logs, nextPartition: 0 };
  }

  #keep(handle: TopicHandle): void {
    this.#handles.set(handle.topic, handle);
    if (this.#handles.size <= this.#bounds.topicHandlesMax) return;
    const [oldest] = this.#handles.keys();
    this.#handles.delete(oldest!);
    this.#evictions++;
  }

  /** What nobody subscribes to is trimmed at the next retention sweep: worth one line, since it looks like a loss. */
  async #warnIfUnread({ topic, topicId }: StoredTopic): Promise<void> {
    if (topic.messageRetentionMs !== undefined) return;
    if ((await this.#store.subscriptionsOfTopic(topicId)).length > 0) return;
    this.#unread++;
    if (this.#warned.has(topic.name) || this.#warned.size >= this.#bounds.unreadTopicWarningsMax) return;
    this.#warned.add(topic.name);
    this.#logger.warn(
      { topic: topic.name },
      'messages are published to a topic that has no subscription and no retention; they are dropped: create a subscription first',
    );
  }

  /** A subscription that came or went may change who reads a topic: those are rare, so all topics are looked up anew. */
  #changed(name: string): void {
    if (name.includes('/subscriptions/')) this.#handles.clear();
    else this.#handles.delete(name);
    const loading = this.#loading.get(name);
    if (loading) loading.overtaken = true;
  }
}
