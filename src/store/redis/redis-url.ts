import type { RedisOptions } from 'ioredis';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A store URL taken apart. `shown` has no password in it; messages name the store by that and nothing else. */
export interface RedisUrl {
  readonly kind: 'server' | 'cluster' | 'sentinel';
  /** One server; some masters of the cluster; the sentinels. */
  readonly addresses: readonly Address[];
  /** Of the master that the sentinels watch. */
  readonly masterName: string | undefined;
  readonly login: Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls'>;
  readonly shown: string;
}

const kinds = {
  redis: { kind: 'server', tls: false, port: 6379 },
  rediss: { kind: 'server', tls: true, port: 6379 },
  'redis-cluster': { kind: 'cluster', tls: false, port: 6379 },
  'rediss-cluster': { kind: 'cluster', tls: true, port: 6379 },
  'redis-sentinel': { kind: 'sentinel', tls: false, port: 26_379 },
} as const;

const shape =
  /^(?<scheme>[a-z-]+):\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/@?#]+)(?:\/(?<path>[^/?#]*))?$/;

const allowed =
  'use redis://host:port, rediss://user:password@host:port/db, redis-cluster://host:port,host:port or redis-sentinel://host:port,host:port/master-name, with special characters of a password as %XX';

/**
 * Takes `redis:`, `rediss:` (TLS), `redis-cluster:`, `rediss-cluster:` and `redis-sentinel:` URLs apart.
 * @throws Error one sentence that does not repeat the URL: it may hold a password.
 */
export function parseRedisUrl(url: string): RedisUrl {
  const parts = shape.exec(url)?.groups;
  const scheme = parts && kinds[parts['scheme'] as keyof typeof kinds];
  if (!parts || !scheme) throw new Error(`The URL of the Redis store cannot be read: ${allowed}.`);
  const addresses = parts['hosts']!.split(',').map((text) => parseAddress(text, scheme.port));
  const path = parts['path'] ?? '';
  if (scheme.kind === 'server' && addresses.length > 1) {
    throw new Error('redis:// names one server; redis-cluster:// and redis-sentinel:// take several.');
  }
  return {
    kind: scheme.kind,
    addresses,
    masterName: scheme.kind === 'sentinel' ? masterName(path) : undefined,
    login: {
      ...(parts['user'] ? { username: decoded(parts['user']) } : {}),
      ...(parts['password'] ? { password: decoded(parts['password']) } : {}),
      ...(scheme.tls ? { tls: {} } : {}),
      ...(scheme.kind === 'server' ? { db: database(path) } : {}),
    },
    shown: `${parts['scheme']}://${parts['hosts']}${path === '' ? '' : `/${path}`}`,
  };
}

function parseAddress(text: string, portDefault: number): Address {
  const [, host, digits] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? portDefault : Number(digits);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(`A host of the Redis store's URL cannot be read: ${allowed}.`);
  }
  return { host: host.replace(/^\[|\]$/g, ''), port };
}

function masterName(path: string): string {
  if (path !== '') return decoded(path);
  throw new Error('redis-sentinel:// needs the name of the master: redis-sentinel://host:port,host:port/mymaster.');
}

function database(path: string): number {
  if (/^\d{0,5}$/.test(path)) return Number(path);
  throw new Error('The database of a redis:// URL is a number: redis://host:port/0.');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`The user or password of the Redis store's URL cannot be read: ${allowed}.`);
  }
}
