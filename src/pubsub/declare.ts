import { isDeepStrictEqual } from 'node:util';
import { PubSubError } from '../domain/errors.ts';
import type { Subscription } from '../domain/subscription.ts';
import type { Topic } from '../domain/topic.ts';
import type { PubSub } from './pubsub.ts';

/** created: it was missing. kept: it was there. differs: it was there with another definition, which stays. */
export type Declared = 'created' | 'kept' | 'differs';

/** What is there stays as it is, however it was changed since it was declared. */
export function declareTopic({ topics }: PubSub, topic: Topic): Promise<Declared> {
  return declare(topic, topics.create(topic), () => topics.get(topic.name));
}

export function declareSubscription({ subscriptions }: PubSub, subscription: Subscription): Promise<Declared> {
  return declare(subscription, subscriptions.create(subscription), () => subscriptions.get(subscription.name));
}

async function declare<T extends object>(declared: T, creation: Promise<T>, get: () => Promise<T>): Promise<Declared> {
  try {
    await creation;
    return 'created';
  } catch (error) {
    if (!(error instanceof PubSubError && error.code === 'ALREADY_EXISTS')) throw error;
    return isDeepStrictEqual({ ...(await get()) }, { ...declared }) ? 'kept' : 'differs';
  }
}
