import { Redis, type RedisOptions } from 'ioredis';
import { backOffMs } from './back-off.ts';

type Listener = (message: Buffer | undefined) => void;

interface Channel {
  readonly listeners: Set<Listener>;
  confirmed: boolean;
  /** Runs while nobody listens any more. */
  idle: NodeJS.Timeout | undefined;
}

export interface SubscriberLimits {
  /** As long as a command may take; then the connection is given up. */
  readonly timeoutMs: number;
  /** A quiet connection is asked this often whether it is still there. Default 2000. */
  readonly pingMs?: number;
  /** A channel that nobody listens to is kept for this long: most come back with the next pull. Default 30000. */
  readonly idleMs?: number;
  /** Channels kept although nobody listens; more are let go at once. Default 10000. */
  readonly idleMax?: number;
}

/** Channels that one SUBSCRIBE names. */
const channelsPerCommand = 500;

/**
 * The one connection that hears what other nodes publish, made anew whenever it is lost, on a cluster to any of its
 * servers (PUBLISH reaches all of them).
 *
 *     down ──ready──► subscribing ──confirmed──► hears ──closed, or no answer to PING──► down
 *
 * Redis keeps nothing for who is not there. Listeners are told `undefined` when the connection is lost and when the
 * subscription is confirmed (again): in between anything may have been missed.
 */
export class Subscriber {
  readonly #options: () => RedisOptions;
  readonly #limits: Required<SubscriberLimits>;
  readonly #channels = new Map<string, Channel>();
  #redis: Redis | undefined;
  #isUp = false;
  #attempt = 0;
  #idle = 0;
  #retry: NodeJS.Timeout | undefined;
  #ping: NodeJS.Timeout | undefined;
  #wanted = new Set<string>();
  #scheduled = false;
  #closed = false;
  losses = 0;

  /** @param options of the server to connect to, asked each time */
  constructor(options: () => RedisOptions, limits: SubscriberLimits) {
    this.#options = options;
    this.#limits = { pingMs: 2000, idleMs: 30_000, idleMax: 10_000, ...limits };
  }

  subscribe(name: string, listener: Listener): () => void {
    const own: Listener = (message) => listener(message);
    const channel = this.#channel(name);
    channel.listeners.add(own);
    if (!this.#redis && !this.#retry) this.#connect();
    if (channel.confirmed) process.nextTick(() => channel.listeners.has(own) && own(undefined));
    return () => {
      if (channel.listeners.delete(own) && channel.listeners.size === 0) this.#rest(name, channel);
    };
  }

  hears(name: string): boolean {
    return this.#channels.get(name)?.confirmed ?? false;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#ping);
    for (const { idle } of this.#channels.values()) clearTimeout(idle);
    this.#channels.clear();
    this.#redis?.disconnect();
  }

  #channel(name: string): Channel {
    const known = this.#channels.get(name);
    if (!known) {
      const channel: Channel = { listeners: new Set(), confirmed: false, idle: undefined };
      this.#channels.set(name, channel);
      this.#want(name);
      return channel;
    }
    if (known.idle) {
      clearTimeout(known.idle);
      known.idle = undefined;
      this.#idle--;
    }
    return known;
  }

  #rest(name: string, channel: Channel): void {
    if (this.#closed) return;
    if (this.#idle >= this.#limits.idleMax) {
      this.#drop(name);
      return;
    }
    this.#idle++;
    channel.idle = setTimeout(() => {
      this.#idle--;
      this.#drop(name);
    }, this.#limits.idleMs);
    channel.idle.unref();
  }

  #drop(name: string): void {
    this.#channels.delete(name);
    this.#wanted.delete(name);
    // Should the same channel be wanted again at once, its SUBSCRIBE follows on the same connection.
    if (this.#isUp) this.#redis!.unsubscribe(name).catch(() => undefined);
  }

  #connect(): void {
    this.#retry = undefined;
    const redis = new Redis({
      connectTimeout: this.#limits.timeoutMs,
      commandTimeout: this.#limits.timeoutMs,
      keepAlive: 10_000,
      disableClientInfo: true,
      maxLoadingRetryTime: 200,
      ...this.#options(),
      retryStrategy: null,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
    });
    this.#redis = redis;
    redis.on('error', () => undefined); // told by `end`
    redis.on('ready', () => this.#ready());
    redis.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#told(channel.toString(), message));
    redis.on('end', () => this.#ended());
  }

  #ready(): void {
    this.#isUp = true;
    this.#attempt = 0;
    for (const name of this.#channels.keys()) this.#want(name);
    this.#ping = setInterval(() => this.#redis!.ping().catch(() => this.#giveUp()), this.#limits.pingMs);
    this.#ping.unref();
  }

  #ended(): void {
    if (this.#isUp) this.losses++;
    this.#isUp = false;
    clearInterval(this.#ping);
    this.#redis = undefined;
    if (this.#closed) return;
    const lost = [...this.#channels.values()].filter(({ confirmed }) => confirmed);
    for (const channel of lost) channel.confirmed = false;
    this.#retry = setTimeout(() => this.#connect(), backOffMs(++this.#attempt));
    for (const channel of lost) tell(channel, undefined);
  }

  /** All that are wanted in one turn of the event loop go with one command. */
  #want(name: string): void {
    this.#wanted.add(name);
    if (!this.#isUp || this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#subscribeWanted();
    });
  }

  #subscribeWanted(): void {
    if (!this.#isUp) return; // all are wanted again when it is
    const names = [...this.#wanted];
    this.#wanted.clear();
    for (let i = 0; i < names.length; i += channelsPerCommand) {
      void this.#subscribe(names.slice(i, i + channelsPerCommand));
    }
  }

  async #subscribe(names: readonly string[]): Promise<void> {
    const redis = this.#redis!;
    const channels = names.flatMap((name) => this.#channels.get(name) ?? []);
    try {
      await redis.subscribe(...names);
    } catch {
      this.#giveUp(redis);
      return;
    }
    if (redis !== this.#redis) return;
    for (const channel of channels) channel.confirmed = true;
    for (const channel of channels) tell(channel, undefined);
  }

  #told(name: string, message: Buffer): void {
    const channel = this.#channels.get(name);
    if (channel) tell(channel, message);
  }

  #giveUp(redis = this.#redis): void {
    redis?.stream?.destroy();
  }
}

function tell({ listeners }: Channel, message: Buffer | undefined): void {
  for (const listener of [...listeners]) listener(message);
}
