import { openLmdbStore } from './lmdb/lmdb-store.ts';
import type { Store } from './store.ts';

export interface StoreOptions {
  /** `lmdb:PATH` */
  readonly url: string;
  /** Wall clock, Unix epoch ms; tests pass a virtual one. */
  readonly clock: () => number;
}

/**
 * Chooses the adapter by the URL's scheme.
 * @throws Error one sentence: an unknown scheme, or a directory that cannot be opened.
 */
export async function openStore({ url, clock }: StoreOptions): Promise<Store> {
  if (url.startsWith('lmdb:')) return openLmdbStore(url.slice('lmdb:'.length), clock);
  throw new Error(`The store ${url.split(':')[0]}: is not known; this release has lmdb:PATH.`);
}
