import type { PushConfig } from '../../domain/push-config.ts';
import type { Subscription } from '../../domain/subscription.ts';
import type { StoredSubscription } from '../../store/store.ts';

/** A subscription that has somewhere to push to. */
export interface PushedSubscription extends Subscription {
  readonly push: PushConfig;
}

/** @returns undefined when its messages are pulled, or nothing is delivered at all */
export function pushedSubscription({ subscription }: StoredSubscription): PushedSubscription | undefined {
  const { push, detached } = subscription;
  return push && !detached ? { ...subscription, push } : undefined;
}
