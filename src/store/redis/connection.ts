import type { RedisOptions } from 'ioredis';
import { backOffMs } from './back-off.ts';
import { Cluster } from './cluster.ts';
import { type Argument, type Channels, type Link, type RunOptions, Unavailable } from './link.ts';
import { type Address, parseRedisUrl, type RedisUrl } from './redis-url.ts';
import { Router } from './router.ts';
import type { Script } from './script.ts';
import { Server, type Waiting } from './server.ts';
import { OneServer, type Servers } from './servers.ts';
import { slotOf } from './slot.ts';
import { Subscriber } from './subscriber.ts';

export interface LinkOptions {
  /** No answer for this long is a failure. Default 2000. */
  readonly timeoutMs?: number;
  /** How many replicas must have a durable write. Default 0. */
  readonly waitReplicas?: number;
  /** Server and replicas must have it on disk (Redis 7.2). Default false. */
  readonly waitAof?: boolean;
  /** Tests give scripts their time; otherwise the server's counts. */
  readonly clock?: () => number;
  /** Calls that may wait for a server to come back; more are refused at once. Default 10000. */
  readonly waitingMax?: number;
}

export interface LinkCounters {
  /** Connections that were lost. */
  readonly losses: number;
  /** Commands that were not answered in time. */
  readonly timeouts: number;
  /** MOVED and ASK. */
  readonly redirections: number;
  /** Calls that wait for a server to come back. */
  readonly waiting: number;
}

export interface Connection extends Link, Channels {
  /** The store's URL without its password. */
  readonly shown: string;
  readonly waiting: Waiting;
  linkCounters(): LinkCounters;
  /** Numbers whose keys lie on different servers: together on all that have slots, if few tries find them. */
  oneForEachServer(keyOf: (number: number) => string): number[];
  close(): Promise<void>;
}

/** Numbers tried to find a key on each server; one with a thousandth of the slots is found almost surely. */
const numbersTriedMax = 10_000;
/** How long the first connection may take. */
const openMs = 5000;

/**
 * Connects to what the URL names.
 * @throws Error one sentence without a password: the URL cannot be read, or nothing there answers as it should.
 */
export async function openLink(url: string, options: LinkOptions = {}): Promise<Connection> {
  const parsed = parseRedisUrl(url);
  const link = new RedisLink(parsed, options);
  try {
    await link.firstContact();
    return link;
  } catch (error) {
    await link.close();
    const why = (error as Error).message;
    throw new Error(`The Redis store ${parsed.shown} cannot be used: ${why}`, { cause: error });
  }
}

class RedisLink implements Connection {
  readonly shown: string;
  readonly waiting: Waiting;
  readonly #timeoutMs: number;
  readonly #clock: (() => number) | undefined;
  readonly #servers: Servers;
  readonly #router: Router;
  readonly #subscriber: Subscriber;
  readonly #connected = new Set<() => void>();

  constructor(url: RedisUrl, options: LinkOptions) {
    const { timeoutMs = 2000, waitingMax = 10_000 } = options;
    this.shown = url.shown;
    this.waiting = { replicas: options.waitReplicas ?? 0, aof: options.waitAof ?? false };
    this.#timeoutMs = timeoutMs;
    this.#clock = options.clock;
    this.#servers = this.#serversOf(url);
    this.#router = new Router(this.#servers, url.shown, { timeoutMs, waitingMax });
    this.#subscriber = new Subscriber(() => this.#optionsFor(url), { timeoutMs });
  }

  async firstContact(): Promise<void> {
    const untilMs = performance.now() + openMs;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#servers.refresh();
        await this.#router.send({ slot: 0, name: 'TIME', args: [], durable: false });
        return;
      } catch (error) {
        if (performance.now() >= untilMs || !(error instanceof Unavailable && error.transient)) throw error;
        await new Promise((resolve) => setTimeout(resolve, backOffMs(attempt)));
      }
    }
  }

  async run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    options?: RunOptions,
  ): Promise<unknown> {
    if (keys.length !== script.keyCount) throw new TypeError(`${script.name}.lua takes ${script.keyCount} keys`);
    const to = { slot: slotOf(keys[0]!), durable: options?.durable ?? false };
    return this.#router.send({ ...to, name: 'EVALSHA', args: [script.sha, keys.length, ...keys, ...args], script });
  }

  command(name: string, ...args: Argument[]): Promise<unknown> {
    const key = args[0];
    const slot = key === undefined ? 0 : slotOf(Buffer.isBuffer(key) ? key : `${key}`);
    return this.#router.send({ slot, name, args, durable: false });
  }

  onEachServer(name: string, ...args: Argument[]): Promise<readonly unknown[]> {
    return Promise.all(this.#servers.all().map((server) => this.#router.sendTo(server, name, args)));
  }

  onConnect(connected: () => void): () => void {
    const own = () => connected();
    this.#connected.add(own);
    return () => this.#connected.delete(own);
  }

  now(): string {
    return this.#clock ? `${this.#clock()}` : '';
  }

  subscribe(channel: string, listener: (message: Buffer | undefined) => void): () => void {
    return this.#subscriber.subscribe(channel, listener);
  }

  hears(channel: string): boolean {
    return this.#subscriber.hears(channel);
  }

  async publish(channel: string, message: Argument): Promise<void> {
    await this.command('PUBLISH', channel, message);
  }

  linkCounters(): LinkCounters {
    const wires = this.#servers.all().flatMap((server) => server.wires);
    return {
      losses: wires.reduce((sum, { losses }) => sum + losses, this.#subscriber.losses),
      timeouts: wires.reduce((sum, { timeouts }) => sum + timeouts, 0),
      redirections: this.#router.redirections,
      waiting: this.#router.waiting,
    };
  }

  oneForEachServer(keyOf: (number: number) => string): number[] {
    const found = new Map<Server | undefined, number>(); // undefined: nobody has the slot, so nothing can be written there
    for (let number = 0; number < numbersTriedMax && found.size < Math.max(1, this.#servers.all().length); number++) {
      const server = this.#servers.of(slotOf(keyOf(number)));
      if (!found.has(server)) found.set(server, number);
    }
    return [...found.values()];
  }

  async close(): Promise<void> {
    this.#router.close();
    this.#subscriber.close();
    this.#servers.close();
  }

  #serversOf(url: RedisUrl): Servers {
    if (url.kind === 'cluster') return new Cluster(url.addresses, (address) => this.#open(address, url));
    const name = url.addresses.map(({ host, port }) => `${host}:${port}`).join(',');
    return new OneServer(this.#server(name, this.#optionsFor(url)));
  }

  #open(address: Address, { login }: RedisUrl): Server {
    return this.#server(`${address.host}:${address.port}`, { ...address, ...login });
  }

  #server(name: string, options: RedisOptions): Server {
    const server = new Server(name, options, { timeoutMs: this.#timeoutMs }, this.waiting);
    server.wire.onUp(() => {
      for (const connected of this.#connected) connected();
    });
    return server;
  }

  /** For one connection, to whichever server is the right one now. */
  #optionsFor({ kind, addresses, masterName, login }: RedisUrl): RedisOptions {
    if (kind === 'sentinel') return { sentinels: [...addresses], name: masterName!, ...login };
    if (kind === 'server') return { ...addresses[0]!, ...login };
    const up = this.#servers.all().filter(({ wire }) => wire.isUp);
    const one = up[Math.floor(Math.random() * up.length)];
    if (!one) return { ...addresses[Math.floor(Math.random() * addresses.length)]!, ...login };
    const colon = one.name.lastIndexOf(':');
    return { host: one.name.slice(0, colon), port: Number(one.name.slice(colon + 1)), ...login };
  }
}
