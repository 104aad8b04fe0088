import type { Store } from './store.ts';

/** What every adapter needs to open; bounds are named here and documented in the README's table. */
export interface StoreOptions {
  /** `lmdb:PATH`; a later release adds `redis://…`. */
  readonly url: string;
  /** Wall clock, Unix epoch ms; tests pass a virtual one. */
  readonly clock: () => number;
}

export type OpenStore = (options: StoreOptions) => Promise<Store>;
