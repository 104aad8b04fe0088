import type { EventEmitter } from 'node:events';
import { Aedes } from 'aedes';
import type { Logger } from '../telemetry/logger.ts';
import type { BrokerStream } from './broker-stream.ts';

/** What the gate needs of Aedes' client, which its published types do not tell. */
export interface BrokerClient {
  readonly id: string | null;
  readonly closed: boolean;
  subscriptions: Record<string, { readonly qos: number; readonly func: () => void }>;
  close(done: () => void): void;
}

interface AedesInternals {
  clients: Record<string, BrokerClient>;
  deleteClient(clientId: string): void;
  clearSessionExpiry(clientId: string): void;
  subscribe(topic: string, deliver: unknown, done?: () => void): void;
  unsubscribe(topic: string, deliver: unknown, done?: () => void): void;
}

export interface BrokerOptions {
  readonly topicLevelsMax: number;
  readonly logger: Logger;
}

/**
 * Aedes, for what is left to it: who is connected, and the answers to SUBSCRIBE and UNSUBSCRIBE. It never sees a PUBLISH,
 * an acknowledgement or a byte that the gate has not checked. Sessions, wills, retained messages and delivery are ours,
 * because they have to be durable and the same on all nodes (FACTS §2): to Aedes every session is a clean one.
 */
export class Broker {
  readonly #aedes: Aedes & AedesInternals;

  private constructor({ topicLevelsMax, logger }: BrokerOptions) {
    const aedes = new Aedes({
      drainTimeout: 0, // its stream never asks it to wait
      maxTopicLevels: topicLevelsMax,
      authorizeSubscribe: (_client, subscription, done) => {
        // An MQTT 3.1.1 client would be granted a shared subscription and never get a message; MQTT 5 is told 0x9E.
        done(null, subscription.topic.startsWith('$share/') ? null : subscription);
      },
    });
    this.#aedes = aedes as never;
    // Client ids become keys: `constructor` or `__proto__` must not find anything there.
    this.#aedes.clients = Object.create(null) as Record<string, BrokerClient>;
    // Nobody is delivered to by Aedes, so nobody is entered into its matcher.
    this.#aedes.subscribe = this.#aedes.unsubscribe = (_topic, _deliver, done) => done?.();
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

  /**
   * Makes a client of a stream; its CONNECT is the first packet that it reads there.
   * @param filters what its session has subscribed to before.
   */
  attach(stream: BrokerStream, filters: Iterable<string>): BrokerClient {
    const client = this.#aedes.handle(stream) as unknown as BrokerClient;
    client.subscriptions = Object.create(null) as BrokerClient['subscriptions']; // filters become keys, see above
    for (const filter of filters) client.subscriptions[filter] = { qos: 0, func: () => {} };
    return client;
  }

  /** Aedes notes who left with an MQTT 5 session; when that ends is not its business. */
  forget(clientId: string): void {
    this.#aedes.clearSessionExpiry(clientId);
  }

  close(): Promise<void> {
    return new Promise((closed) => this.#aedes.close(closed));
  }

  /** A client that was closed while it connected is registered all the same, and would stay for ever. */
  #dropLate(client: BrokerClient): void {
    if (!client.closed) return;
    setImmediate(() => {
      if (client.id !== null && this.#aedes.clients[client.id] === client) this.#aedes.deleteClient(client.id);
    });
  }
}
