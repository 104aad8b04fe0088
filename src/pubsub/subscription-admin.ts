import { invalidArgument, PubSubError } from '../domain/errors.ts';
import type { PushConfig } from '../domain/push-config.ts';
import { checkProject, parseResourceName } from '../domain/resource-name.ts';
import { retentionMsOf } from '../domain/retention.ts';
import { checkSubscription, type Subscription, updatedSubscription } from '../domain/subscription.ts';
import type { Store, StoredSubscription, SubscriptionStats } from '../store/store.ts';
import { listed, pageRequest } from './paging.ts';
import type { Listed, ListRequest, Subscriptions } from './pubsub.ts';
import { isDetached, noSubscription } from './refusals.ts';
import type { Turn } from './turn.ts';

export interface SubscriptionAdminOptions {
  readonly store: Store;
  /** A change reads, checks and writes; two of them must not mix, of whatever kind. */
  readonly changes: Turn;
  /** Taken by whoever moves a subscription back, and by the trim that must not cut what was moved back to. */
  readonly seekOrTrim: Turn;
  /** Tells waiting pulls that a seek may have brought messages back. */
  readonly wake: (subscription: string) => void;
  /** @throws PubSubError INVALID_ARGUMENT the server may not push there. */
  readonly checkEndpoint: (endpoint: string) => void;
}

const noStats: SubscriptionStats = { backlog: 0, outstanding: 0, oldestUnackedMs: undefined, bytes: 0 };

/** Subscriptions by name: the rules of `domain/subscription.ts` in front of the store. */
export class SubscriptionAdmin implements Subscriptions {
  readonly #store: Store;
  readonly #changes: Turn;
  readonly #seekOrTrim: Turn;
  readonly #wake: (subscription: string) => void;
  readonly #checkEndpoint: (endpoint: string) => void;

  constructor({ store, changes, seekOrTrim, wake, checkEndpoint }: SubscriptionAdminOptions) {
    this.#store = store;
    this.#changes = changes;
    this.#seekOrTrim = seekOrTrim;
    this.#wake = wake;
    this.#checkEndpoint = checkEndpoint;
  }

  async create(subscription: Subscription): Promise<Subscription> {
    parseResourceName('topics', subscription.topic);
    const attached = { ...subscription, detached: false };
    checkSubscription(attached);
    if (attached.push) this.#checkEndpoint(attached.push.endpoint);
    if (!(await this.#store.topic(subscription.topic))) {
      throw new PubSubError('NOT_FOUND', `Subscription topic does not exist: ${subscription.topic}; create it first.`);
    }
    await this.#checkDeadLetterTopic(attached);
    return (await this.#store.createSubscription(attached)).subscription;
  }

  async get(name: string): Promise<Subscription> {
    return (await this.#stored(name)).subscription;
  }

  async list({ project, ...page }: ListRequest): Promise<Listed<Subscription>> {
    checkProject(project);
    const { items, more } = await this.#store.listSubscriptions(pageRequest(`${project}/subscriptions/`, page));
    return listed({ items: items.map(({ subscription }) => subscription), more }, ({ name }) => name);
  }

  async update(subscription: Subscription, paths: readonly string[]): Promise<Subscription> {
    return this.#changes.run(async () => {
      const updated = updatedSubscription(await this.get(subscription.name), subscription, paths);
      if (updated.push && paths.includes('push_config')) this.#checkEndpoint(updated.push.endpoint);
      if (paths.includes('dead_letter_policy')) await this.#checkDeadLetterTopic(updated);
      await this.#store.updateSubscription(updated);
      return updated;
    });
  }

  async modifyPushConfig(name: string, push: PushConfig | undefined): Promise<void> {
    const { push: _, ...pulled } = await this.get(name);
    await this.update(push ? { ...pulled, push } : pulled, ['push_config']);
  }

  async delete(name: string): Promise<void> {
    parseResourceName('subscriptions', name);
    await this.#store.deleteSubscription(name);
  }

  /** Its definition stays; from now on it is owed nothing, and the retention sweep keeps its backlog empty. */
  async detach(name: string): Promise<void> {
    const { topicId, partitions } = await this.#changes.run(async () => {
      const stored = await this.#stored(name);
      await this.#store.updateSubscription({ ...stored.subscription, detached: true });
      return stored;
    });
    for (let partition = 0; partition < partitions; partition++) {
      const { head } = await this.#store.watermarks({ topicId, partition });
      await this.#store.seek({ subscription: name, partition }, head);
    }
  }

  async stats(name: string): Promise<SubscriptionStats> {
    const { subscription } = await this.#stored(name);
    return subscription.detached ? noStats : this.#store.stats(name);
  }

  async seek(name: string, target: { readonly timeMs: number } | { readonly snapshot: string }): Promise<void> {
    const stored = await this.#stored(name);
    if (stored.subscription.detached) throw isDetached(name);
    await this.#seekOrTrim.run(() =>
      'snapshot' in target ? this.#seekSnapshot(name, target.snapshot) : this.#seekTime(stored, target.timeMs),
    );
    this.#wake(name);
  }

  async #seekSnapshot(name: string, snapshot: string): Promise<void> {
    parseResourceName('snapshots', snapshot);
    await this.#store.seekSnapshot(name, snapshot);
  }

  /** A time in the future lies past the head: everything counts as acked. One before retention brings back what is kept. */
  async #seekTime({ subscription, topicId, partitions }: StoredSubscription, timeMs: number): Promise<void> {
    if (!Number.isFinite(timeMs)) throw invalidArgument('The time to seek to is not a time.');
    const topic = await this.#store.topic(subscription.topic);
    const retainedMs = (await this.#store.nowMs()) - retentionMsOf(subscription, topic?.topic);
    for (let partition = 0; partition < partitions; partition++) {
      const offset = await this.#store.offsetAt({ topicId, partition }, Math.max(timeMs, retainedMs));
      await this.#store.seek({ subscription: subscription.name, partition }, offset);
    }
  }

  async #checkDeadLetterTopic({ deadLetter }: Subscription): Promise<void> {
    if (!deadLetter || (await this.#store.topic(deadLetter.topic))) return;
    throw new PubSubError('NOT_FOUND', `The dead letter topic ${deadLetter.topic} does not exist; create it first.`);
  }

  async #stored(name: string): Promise<StoredSubscription> {
    parseResourceName('subscriptions', name);
    const stored = await this.#store.subscription(name);
    if (!stored) throw noSubscription(name);
    return stored;
  }
}
