import { PubSubError } from '../domain/errors.ts';
import type { Subscription } from '../domain/subscription.ts';
import type { Topic } from '../domain/topic.ts';
import type { PubSub } from './pubsub.ts';

/** Creates what is missing and leaves what is there as it is, however it was changed since. @returns names created */
export async function declare(
  pubsub: PubSub,
  topics: readonly Topic[],
  subscriptions: readonly Subscription[],
): Promise<string[]> {
  const created: string[] = [];
  for (const topic of topics) if (await isNew(pubsub.topics.create(topic))) created.push(topic.name);
  for (const subscription of subscriptions) {
    if (await isNew(pubsub.subscriptions.create(subscription))) created.push(subscription.name);
  }
  return created;
}

async function isNew(creation: Promise<unknown>): Promise<boolean> {
  try {
    await creation;
    return true;
  } catch (error) {
    if (error instanceof PubSubError && error.code === 'ALREADY_EXISTS') return false;
    throw error;
  }
}
