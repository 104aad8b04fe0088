import type { Store, StoredSubscription } from '../store/store.ts';
import { noSubscription } from './refusals.ts';
import type { SubscriptionHandle } from './subscription-handle.ts';

/**
 * The subscriptions that this node serves, by name. A handle is read anew when the catalog says that it changed, and
 * dropped when its subscription was deleted. At the bound the handle that was made first and has no waiting pull goes.
 */
export class SubscriptionHandles {
  readonly #store: Store;
  readonly #make: (stored: StoredSubscription) => SubscriptionHandle;
  readonly #max: number;
  readonly #handles = new Map<string, SubscriptionHandle>();
  readonly #loading = new Map<string, Promise<SubscriptionHandle>>();
  /** Names that changed while their handle was first made. */
  readonly #overtaken = new Set<string>();
  readonly #stopWatching: () => void;
  #evictions = 0;

  constructor(store: Store, make: (stored: StoredSubscription) => SubscriptionHandle, max: number) {
    this.#store = store;
    this.#make = make;
    this.#max = max;
    this.#stopWatching = store.onCatalogChange((name) => this.#changed(name));
  }

  counters() {
    let waitingPulls = 0;
    for (const { pulls } of this.#handles.values()) waitingPulls += pulls.size;
    return { subscriptionHandles: this.#handles.size, subscriptionHandleEvictions: this.#evictions, waitingPulls };
  }

  /** @throws NOT_FOUND */
  async get(name: string): Promise<SubscriptionHandle> {
    const handle = this.#handles.get(name);
    if (handle && !handle.stale) return handle;
    const loading = this.#loading.get(name) ?? this.#load(name).finally(() => this.#loading.delete(name));
    this.#loading.set(name, loading);
    return loading;
  }

  /** The handle, read anew. @throws NOT_FOUND */
  async renewed(name: string): Promise<SubscriptionHandle> {
    const known = this.#handles.get(name);
    if (known) known.stale = true;
    return this.get(name);
  }

  /** The handle if there is one. */
  known(name: string): SubscriptionHandle | undefined {
    return this.#handles.get(name);
  }

  async close(): Promise<void> {
    this.#stopWatching();
    await Promise.all([...this.#handles.values()].map(({ pulls }) => pulls.close()));
  }

  async #load(name: string): Promise<SubscriptionHandle> {
    const known = this.#handles.get(name);
    if (known) known.stale = false; // before the read: a change during it counts again
    const stored = await this.#store.subscription(name);
    if (known && stored && known.redefine(stored)) return known;
    this.#handles.delete(name);
    known?.pulls.wake(); // they find the subscription gone, or are served from the new one
    if (!stored) {
      this.#overtaken.delete(name);
      throw noSubscription(name);
    }
    const handle = this.#make(stored);
    handle.stale = this.#overtaken.delete(name);
    this.#handles.set(name, handle);
    this.#evict();
    return handle;
  }

  /** @param name undefined: any of them may have changed; those that wait look again within a second anyway */
  #changed(name: string | undefined): void {
    if (name === undefined) {
      for (const handle of this.#handles.values()) handle.stale = true;
      for (const loading of this.#loading.keys()) this.#overtaken.add(loading);
      return;
    }
    const handle = this.#handles.get(name);
    if (!handle) {
      if (this.#loading.has(name)) this.#overtaken.add(name);
      return;
    }
    handle.stale = true;
    handle.pulls.wake();
  }

  #evict(): void {
    if (this.#handles.size <= this.#max) return;
    for (const [name, { pulls }] of this.#handles) {
      if (pulls.size > 0) continue;
      this.#handles.delete(name);
      this.#evictions++;
      return;
    }
  }
}
