import { BlockList, isIP } from 'node:net';
import { invalidArgument } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';

export interface EgressOptions {
  /** Endpoints on this machine may be pushed to; right when only this machine can ask for it. */
  readonly loopback: boolean;
  /** Host names, addresses and subnets (`10.1.0.0/16`) that may be pushed to although they are private, http included. */
  readonly allow: readonly string[];
}

/**
 * Where the server may push to. Whoever can create a subscription chooses the endpoint, and the server may reach what
 * they cannot: the cloud's metadata service, databases that trust their network. So everything that is not a public
 * address is refused unless the operator allows it. Names are judged by the address that is connected to, when it is
 * connected to: what a name resolved to earlier proves nothing.
 */
export class Egress {
  readonly #loopback: boolean;
  readonly #names = new Set<string>();
  readonly #allowed = new BlockList();

  /** @throws Error an entry of `allow` is none of what it may be. */
  constructor({ loopback, allow }: EgressOptions) {
    this.#loopback = loopback;
    for (const entry of allow) this.#allow(entry);
  }

  /** @param hostname by which the address was found, or the address itself. */
  allows(hostname: string, address: string): boolean {
    if (this.#names.has(plainName(hostname)) || check(this.#allowed, address)) return true;
    return check(loopback, address) ? this.#loopback : !check(notPublic, address);
  }

  /**
   * What can be said of an endpoint before a connection is made.
   * @param endpoint one that `checkPushConfig` has let through.
   * @throws PubSubError INVALID_ARGUMENT: what is wrong, and what is allowed.
   */
  checkEndpoint(endpoint: string): void {
    const problem = this.#problem(new URL(endpoint));
    if (problem) throw invalidArgument(`push_config.push_endpoint ${quote(endpoint)} ${problem}`);
  }

  #problem(url: URL): string | undefined {
    const host = hostOf(url);
    const address = addressOf(host);
    if (address !== undefined && !this.allows(host, address)) {
      return `is not a public address; have the operator allow ${host} as a push target, or choose another endpoint.`;
    }
    if (url.protocol === 'https:' || this.#plainAllowed(host, address)) return undefined;
    return `would send messages in the clear; use https, or have the operator allow ${host} as a push target.`;
  }

  #plainAllowed(host: string, address: string | undefined): boolean {
    if (this.#names.has(plainName(host))) return true;
    return address !== undefined && (check(this.#allowed, address) || check(loopback, address));
  }

  #allow(entry: string): void {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address);
    if (family !== 0) this.#allowSubnet(entry, address, family, bits);
    else if (/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(entry)) this.#names.add(entry.toLowerCase());
    else throw notATarget(entry);
  }

  #allowSubnet(entry: string, address: string, family: number, bits: string | undefined): void {
    const most = family === 4 ? 32 : 128;
    const length = bits === undefined ? most : Number(bits);
    if (bits === '' || !Number.isInteger(length) || length < 0 || length > most) throw notATarget(entry);
    this.#allowed.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/** The host of a URL without the brackets of an IPv6 address. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

/** RFC 6761 §6.3: `localhost` names are this machine, whatever a resolver says. */
function addressOf(host: string): string | undefined {
  if (isIP(host) !== 0) return host;
  return /(^|\.)localhost$/.test(plainName(host)) ? '127.0.0.1' : undefined;
}

/** A dot at the end says that the name is complete; it is the same name. */
function plainName(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

function check(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function notATarget(entry: string): Error {
  return new Error(`${quote(entry)} is no push target; give a host name, an address or a subnet such as 10.1.0.0/16.`);
}

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address, bits] = subnet.split('/') as [string, string];
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}

// A BlockList also takes an IPv4-mapped IPv6 address for the IPv4 address that it is.
const loopback = listOf(['127.0.0.0/8', '::1/128']);

/** IANA's special-purpose address registries (RFC 6890), multicast, and what carries an IPv4 address inside. */
const notPublic = listOf([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16', // link-local; 169.254.169.254 is the clouds' metadata service
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '64:ff9b::/96', // NAT64
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23', // Teredo, ORCHID and others
  '2001:db8::/32',
  '2002::/16', // 6to4
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]);
