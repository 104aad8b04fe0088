import { PubSubError } from '../../domain/errors.ts';
import type { Subscription } from '../../domain/subscription.ts';
import { deletedTopic } from '../../domain/topic.ts';
import type { Topics } from '../../pubsub/pubsub.ts';
import { subscriptionToJson } from '../json/subscription-json.ts';

/** Subscriptions as a reply shows them, each with the retention of its topic. One for each reply. */
export class SubscriptionView {
  readonly #topics: Topics;
  readonly #retentionMsByTopic = new Map<string, number | undefined>();

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  async toJson(subscription: Subscription): Promise<object> {
    return subscriptionToJson(subscription, await this.#retentionMs(subscription.topic));
  }

  async #retentionMs(topic: string): Promise<number | undefined> {
    if (topic === deletedTopic) return undefined;
    if (!this.#retentionMsByTopic.has(topic)) {
      this.#retentionMsByTopic.set(topic, (await this.#topicIfAny(topic))?.messageRetentionMs);
    }
    return this.#retentionMsByTopic.get(topic);
  }

  /** A topic may go between the two look-ups. */
  async #topicIfAny(topic: string) {
    try {
      return await this.#topics.get(topic);
    } catch (error) {
      if (error instanceof PubSubError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }
}
