import type { EventEmitter } from 'node:events';
import { Aedes } from 'aedes';
import type { Logger } from '../telemetry/logger.ts';
import type { BrokerStream } from './broker-stream.ts';
import { FilterTrie } from './filter-trie.ts';
import type { MqttLimits } from './limits.ts';
import type { SessionStore } from './session-store.ts';
import type { Sessions } from './sessions.ts';
import type { KnownTopic } from './topic-cache.ts';
import { filterMatches } from './topic-rules.ts';

/** What the gate needs of Aedes' client, which its published types do not tell. */
export interface BrokerClient {
  readonly id: string | null;
  readonly closed: boolean;
  readonly conn: BrokerStream;
  subscriptions: Record<string, { readonly qos: number }>;
  close(done: () => void): void;
}

interface AedesInternals {
  clients: Record<string, BrokerClient>;
  deleteClient(clientId: string): void;
  clearSessionExpiry(clientId: string): void;
}

interface BrokerWill {
  readonly properties?: { willDelayInterval?: number };
}

/** A message for subscribers. */
export interface OutgoingMessage {
  readonly cmd: 'publish';
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: false;
  readonly properties?: object;
}

export type Published = (error?: Error | null) => void;
type Deliver = (packet: never, done: () => void) => void;

export interface BrokerOptions {
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly limits: MqttLimits;
  readonly logger: Logger;
}

/**
 * Aedes, for what is left to it: subscriptions, retained messages, wills and the delivery to subscribers. It never sees
 * a PUBLISH, a PUBREL or a byte that the gate has not checked; keep-alive, session expiry and the CONNACK are the
 * gate's. What it would trip over is put out of its way here.
 */
export class Broker {
  readonly #aedes: Aedes & AedesInternals;
  readonly #sessions: Sessions;
  /** Who is connected and listens to what. */
  readonly #online = new FilterTrie<Deliver, true>();

  private constructor(options: BrokerOptions) {
    this.#sessions = options.sessions;
    const aedes = new Aedes({
      persistence: options.store,
      concurrency: 0, // the gate bounds what is in flight per connection; a common bound would let one stall all (I8)
      drainTimeout: 0, // its stream never asks it to wait
      maxTopicLevels: options.limits.topicLevelsMax,
      authorizePublish: (client, will, done) => {
        // Only wills come this way: other publishes are the gate's, or the broker's own under $SYS.
        if (client) guarded(options.logger, () => prepareWill(client as unknown as BrokerClient, will as BrokerWill));
        done(null);
      },
      authorizeForward: (client, packet) => atGrantedQos(client as unknown as BrokerClient, packet),
      authorizeSubscribe: (_client, subscription, done) => {
        // An MQTT 3.1.1 client would be granted a shared subscription and never get a message; MQTT 5 is told 0x9E.
        done(null, subscription.topic.startsWith('$share/') ? null : subscription);
      },
    });
    this.#aedes = aedes as never;
    // Client ids become keys: `constructor` or `__proto__` must not find anything there.
    this.#aedes.clients = Object.create(null) as Record<string, BrokerClient>;
    this.#observe();
    const { logger } = options;
    aedes.on('clientError', (client, error) => logger.debug({ clientId: client.id, err: error }, 'mqtt client error'));
    aedes.on('connectionError', (_client, error) => logger.debug({ err: error }, 'mqtt connection error'));
    (aedes as EventEmitter).on('error', (error: Error) => logger.error({ err: error }, 'mqtt broker error'));
    aedes.on('client', (client) => this.#dropLate(client as unknown as BrokerClient));
  }

  static async open(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options);
    await broker.#aedes.listen();
    return broker;
  }

  /** Makes a client of a stream; its CONNECT is the first packet that it reads there. */
  attach(stream: BrokerStream): BrokerClient {
    const client = this.#aedes.handle(stream) as unknown as BrokerClient;
    client.subscriptions = Object.create(null) as BrokerClient['subscriptions']; // filters become keys, see above
    return client;
  }

  /** Whether a message on this topic has anywhere to go, subscribers connected or not; remembered with the topic. */
  wants(known: KnownTopic): boolean {
    const version = this.#online.version + this.#sessions.filters.version;
    if (known.wantedAt !== version) {
      known.wanted = this.#online.matches(known.topic) || this.#sessions.filters.matches(known.topic);
      known.wantedAt = version;
    }
    return known.wanted;
  }

  /**
   * Keeps the message if it is retained, queues it for offline sessions, delivers it to subscribers.
   * @param done called once, perhaps before this returns.
   */
  publish(message: OutgoingMessage, client: BrokerClient | undefined, done: Published): void {
    const publish = this.#aedes.publish as (message: OutgoingMessage, client: unknown, done: Published) => void;
    publish.call(this.#aedes, message, client ?? null, done);
  }

  /** Aedes notes who left with an MQTT 5 session; when that ends is not its business. */
  forget(clientId: string): void {
    this.#aedes.clearSessionExpiry(clientId);
  }

  close(): Promise<void> {
    return new Promise((closed) => this.#aedes.close(closed));
  }

  /** Learns of every subscription that connected clients make or restore. */
  #observe(): void {
    const aedes = this.#aedes as unknown as Record<
      'subscribe' | 'unsubscribe',
      (topic: string, deliver: Deliver, done?: () => void) => void
    >;
    const { subscribe, unsubscribe } = aedes;
    aedes.subscribe = (topic, deliver, done) => {
      this.#online.set(topic, deliver, true);
      subscribe.call(aedes, topic, deliver, done);
    };
    aedes.unsubscribe = (topic, deliver, done) => {
      this.#online.delete(topic, deliver);
      unsubscribe.call(aedes, topic, deliver, done);
    };
  }

  /** A client that was closed while it connected is registered all the same, and would stay for ever. */
  #dropLate(client: BrokerClient): void {
    if (!client.closed) return;
    setImmediate(() => {
      if (client.id !== null && this.#aedes.clients[client.id] === client) this.#aedes.deleteClient(client.id);
    });
  }
}

/**
 * MQTT-3.8.4-8: delivered at the lower of the message's QoS and the highest that a matching filter was granted. Aedes
 * looks at a filter only if it is the topic itself.
 */
function atGrantedQos<P extends { readonly topic: string; readonly qos: number }>(client: BrokerClient, packet: P): P {
  if (packet.qos === 0) return packet;
  const { subscriptions } = client;
  let granted = 0;
  for (const filter in subscriptions) {
    const { qos } = subscriptions[filter]!;
    if (qos > granted && filterMatches(filter, packet.topic)) granted = qos;
    if (granted >= packet.qos) return packet;
  }
  return { ...packet, qos: granted };
}

/** A will leaves as an ordinary message, the store's copy included: its delay is not one of that message's properties. */
function prepareWill({ conn }: BrokerClient, will: BrokerWill): void {
  delete will.properties?.willDelayInterval;
  conn.owner.willLeaves();
}

/** Whatever a hook throws would end the process. */
function guarded(logger: Logger, hook: () => void): void {
  try {
    hook();
  } catch (error) {
    logger.error({ err: error }, 'mqtt hook failed');
  }
}
