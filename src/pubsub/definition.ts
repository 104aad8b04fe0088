import { type AttributeFilter, compileFilter } from '../domain/filter.ts';
import type { Subscription } from '../domain/subscription.ts';
import type { StoredSubscription } from '../store/store.ts';

/** A subscription as its deliveries need it: the stored definition and its filter, ready to run. */
export interface Definition extends StoredSubscription {
  readonly subscription: Subscription;
  readonly accepts: AttributeFilter | undefined;
}

export function definitionOf(stored: StoredSubscription): Definition {
  return { ...stored, accepts: compileFilter(stored.subscription.filter) };
}
