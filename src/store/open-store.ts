import { openLmdbStore } from './lmdb/lmdb-store.ts';
import { openRedisStore } from './redis/redis-store.ts';
import type { Store } from './store.ts';

export interface StoreOptions {
  /** `lmdb:PATH`, or one that `redis/redis-url.ts` reads */
  readonly url: string;
  /** Unix epoch ms, the time of an embedded store; tests pass a virtual one. Redis has its own. */
  readonly clock: () => number;
  readonly redis?: RedisOptions;
}

export interface RedisOptions {
  /** In front of every key and channel; sets deployments on one server apart. Default `headwater:`. */
  readonly prefix?: string;
  /** Replicas that must have a write before it is acknowledged. Default 0. */
  readonly waitReplicas?: number;
  /** Server and replicas must have it on disk, where the server can tell (Redis 7.2). Default false. */
  readonly waitAof?: boolean;
  /** How long an answer may take. Default 2000. */
  readonly timeoutMs?: number;
  /** Tests give scripts a virtual time by it; otherwise the time of Redis counts. */
  readonly clock?: () => number;
}

/**
 * Chooses the adapter by the URL's scheme.
 * @throws Error one sentence: an unknown scheme, a directory that cannot be opened, or a Redis that cannot be used.
 */
export async function openStore({ url, clock, redis = {} }: StoreOptions): Promise<Store> {
  if (url.startsWith('lmdb:')) return openLmdbStore(url.slice('lmdb:'.length), clock);
  if (/^rediss?(-[a-z]+)?:/.test(url)) {
    const { prefix = 'headwater:', ...link } = redis;
    return openRedisStore({ url, prefix, link });
  }
  throw new Error(`The store ${url.split(':')[0]}: is not known; choose lmdb:PATH or redis://host:port.`);
}
