import { isDeepStrictEqual } from 'node:util';
import { PubSubError } from '../domain/errors.ts';
import type { Subscription } from '../domain/subscription.ts';
import type { Topic } from '../domain/topic.ts';
import type { PubSub } from './pubsub.ts';

/**
 * created: it was missing. kept: it was there. differs: it was there with another definition, which stays. grown: it was
 * there with fewer partitions.
 */
export type Declared = 'created' | 'kept' | 'differs' | 'grown';

/**
 * What is there stays as it is, however it was changed since it was declared; only partitions are added.
 * @param partitions undefined: as many as it has, or as the topic's label or the configuration say
 */
export async function declareTopic({ topics }: PubSub, topic: Topic, partitions?: number): Promise<Declared> {
  const declared = await declare(topic, topics.create(topic, partitions), () => topics.get(topic.name));
  if (declared === 'created' || partitions === undefined) return declared;
  const before = await topics.partitions(topic.name);
  if (before === partitions) return declared;
  if (before > partitions) return 'differs'; // not an error: another node may have been started with a larger number
  try {
    await topics.setPartitions(topic.name, partitions);
  } catch (error) {
    if (error instanceof PubSubError && error.code === 'FAILED_PRECONDITION') return 'differs'; // just now
    throw error;
  }
  return declared === 'kept' ? 'grown' : declared;
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
