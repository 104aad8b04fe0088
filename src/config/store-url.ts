import { isIPv6 } from 'node:net';

// A store's URL as people write it. Its parts are the adapter's business; what is checked here is that it can be read, so
// that a slip of the pen is told at the start, with the other ones. No message may repeat a password.

export const storeUrlAllowed =
  'lmdb: and the path of a directory, redis://host:port, rediss:// for TLS, both with user:password@ and /database if need be, ' +
  'redis-cluster://host:port,host:port or redis-sentinel://host:port,host:port/master';

interface Scheme {
  /** Addresses, one of which is enough to find the others. */
  readonly several: boolean;
  readonly path: RegExp;
}

const database = /^(\/\d{1,5})?$/;
const nothing = /^$/;
const masterName = /^\/[A-Za-z0-9._-]{1,100}$/;

const schemes: Readonly<Record<string, Scheme>> = {
  redis: { several: false, path: database },
  rediss: { several: false, path: database },
  'redis-cluster': { several: true, path: nothing },
  'rediss-cluster': { several: true, path: nothing },
  'redis-sentinel': { several: true, path: masterName },
};

const addressesMax = 100;

export function isStoreUrl(text: string): boolean {
  if (isEmbedded(text)) return /^lmdb:[^\0]+$/.test(text);
  const [, name, login, addresses, path] = /^([a-z-]+):\/\/(?:([^@/]*)@)?([^@/?#]+)([^@?#]*)$/.exec(text) ?? [];
  if (name === undefined || !Object.hasOwn(schemes, name)) return false;
  const { several, path: allowed } = schemes[name]!;
  const hosts = addresses!.split(',');
  return (
    isLogin(login) &&
    hosts.length <= (several ? addressesMax : 1) &&
    hosts.every((address) => isAddress(address, several)) &&
    allowed.test(path!)
  );
}

/** True for the store that one process has for itself. */
export function isEmbedded(url: string): boolean {
  return url.startsWith('lmdb:');
}

/**
 * The URL for a log line or a message: without user and password, whatever is wrong with it. A password with an `@` in it
 * that was not written as %40 is left out as well.
 */
export function withoutPassword(url: string): string {
  if (isEmbedded(url)) return url;
  const [, scheme = '', rest = ''] = /^([a-z-]{1,20}:(?:\/\/)?)?(.*)$/s.exec(url) ?? [];
  const address = rest.slice(rest.lastIndexOf('@') + 1);
  const hidden = address.length < rest.length ? '…@' : '';
  return `${scheme}${hidden}${address.replace(/[?#].*$/s, '?…')}`;
}

/** `user:password`, `:password` or nothing; with %XX for what has a meaning in a URL. */
function isLogin(login: string | undefined): boolean {
  if (login === undefined) return true;
  const [, password] = /^[^:\s]*:([^:\s]+)$/.exec(login) ?? [];
  return password !== undefined && !/%(?![0-9A-Fa-f]{2})/.test(login) && isDecodable(login);
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Who lists addresses gives each its port: there is no telling which default was meant. */
function isAddress(text: string, withPort: boolean): boolean {
  const [, host, port] = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || (host.startsWith('[') && !isIPv6(host.slice(1, -1)))) return false;
  return port === undefined ? !withPort : Number(port) >= 1 && Number(port) <= 65_535;
}
