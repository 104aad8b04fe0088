import type { Server as HttpServer } from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import type { Uplink } from '../bridge/uplink.ts';
import type { MqttState, MqttStateCounters } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Broker } from './broker.ts';
import { ByteBudget } from './byte-budget.ts';
import { MqttCounters } from './counters.ts';
import { Departures } from './departures.ts';
import { FanOut } from './fan-out.ts';
import { Gate } from './gate.ts';
import { guardUplink } from './guarded-uplink.ts';
import { Interests } from './interests.ts';
import { defaultMqttLimits, type MqttLimits } from './limits.ts';
import type { Authenticate, MqttNode } from './node.ts';
import { FlushTurn } from './outbox.ts';
import { PendingPool } from './pending.ts';
import { RetainedMessages } from './retained-messages.ts';
import { stateEvents } from './state-events.ts';
import { Subscribers } from './subscribers.ts';
import { Sweeper } from './sweeper.ts';
import { UnreleasedMemory } from './unreleased-memory.ts';
import { attachWebSocket } from './web-socket.ts';
import { Wills } from './wills.ts';

export interface MqttServerOptions {
  readonly uplink: Uplink;
  /** This server's own from here on: it opens and closes it. */
  readonly state: MqttState;
  readonly logger: Logger;
  /** Unix epoch, ms. */
  readonly clock: () => number;
  readonly limits?: Partial<MqttLimits>;
  /** Absent: everybody is let in. */
  readonly authenticate?: Authenticate;
}

export interface TlsFiles {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number; // 0: any
}

export interface MqttServerCounters extends Readonly<MqttCounters>, MqttStateCounters {
  readonly inflightBytes: number;
  readonly qos0Bytes: number;
}

/** Joins the other nodes, and starts a server that listens nowhere yet. @throws PubSubError UNAVAILABLE */
export async function openMqttServer(options: MqttServerOptions): Promise<MqttServer> {
  const { logger } = options;
  const limits = { ...defaultMqttLimits, ...options.limits };
  const broker = await Broker.open({ topicLevelsMax: limits.topicLevelsMax, logger });
  const interests = new Interests();
  const node = nodeOf(options, limits, broker, interests);
  await node.state.open(stateEvents({ ...node, interests }));
  return new MqttServer(node);
}

function nodeOf(options: MqttServerOptions, limits: MqttLimits, broker: Broker, interests: Interests): MqttNode {
  const { state, logger, clock, authenticate } = options;
  const uplink = guardUplink(options.uplink);
  const counters = new MqttCounters();
  const subscribers = new Subscribers();
  const fanOut = new FanOut({ state, subscribers, interests, counters, clock, logger });
  const wills = new Wills({ state, uplink, fanOut, counters, clock, logger });
  return {
    limits,
    counters,
    clock,
    logger,
    uplink,
    state,
    broker,
    subscribers,
    fanOut,
    wills,
    authenticate,
    retained: new RetainedMessages(),
    departures: new Departures(state, wills, limits.connectionsMax),
    unreleased: new UnreleasedMemory(limits.rememberedSessionsMax),
    turn: new FlushTurn(),
    pendings: new PendingPool(),
    inflight: new ByteBudget(limits.inflightTotalBytesMax),
    qos0Bytes: 0,
    gates: new Set(),
    live: new Map(),
  };
}

/** MQTT 3.1.1 and 5 over TCP, TLS and WebSocket; see `Gate` for a connection, `Intake` for what becomes of a message. */
export class MqttServer {
  readonly #node: MqttNode;
  readonly #sweeper: Sweeper;
  readonly #stopListening: (() => void)[] = [];
  #closing = false;

  constructor(node: MqttNode) {
    this.#node = node;
    this.#sweeper = new Sweeper({ ...node, sweepMs: node.limits.sweepMs });
    this.#sweeper.start();
  }

  /** Serves one connection; the stream is the server's from here on. */
  handle(stream: Duplex, { remoteAddress }: { readonly remoteAddress: string }): void {
    const { counters, limits, gates } = this.#node;
    counters.connectionsAccepted++;
    if (this.#closing || counters.connections >= limits.connectionsMax) {
      counters.closed[this.#closing ? 'shutdown' : 'connections_max']++;
      stream.on('error', () => {});
      stream.destroy();
      return;
    }
    counters.connections++;
    stream.once('close', () => counters.connections--);
    gates.add(new Gate(this.#node, stream, remoteAddress));
  }

  /** @returns where it listens. @throws the system's error, such as EADDRINUSE. */
  listenTcp(address: ListenAddress): Promise<net.AddressInfo> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#serve(socket),
    );
    return this.#listen(server, address);
  }

  /** @throws as `listenTcp`, and when certificate and key do not fit. */
  listenTls(address: ListenAddress, { cert, key }: TlsFiles): Promise<net.AddressInfo> {
    const handshakeTimeout = this.#node.limits.connectTimeoutMs;
    const server = tls.createServer({ cert, key, handshakeTimeout, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#serve(socket),
    );
    server.on('tlsClientError', (error) => this.#node.logger.debug({ err: error }, 'mqtt tls handshake failed'));
    return this.#listen(server, address);
  }

  /** Serves WebSocket connections that ask `httpServer` for `path`. */
  attachWebSocket(httpServer: HttpServer, path: string, origins: readonly string[] = []): void {
    const { packetBytesMax, connectBytesMax } = this.#node.limits;
    const stop = attachWebSocket(httpServer, {
      path,
      origins,
      messageBytesMax: packetBytesMax + connectBytesMax,
      onStream: (stream, remoteAddress) => this.handle(stream, { remoteAddress }),
    });
    this.#stopListening.push(stop);
  }

  counters(): MqttServerCounters {
    const { counters, state, inflight, qos0Bytes } = this.#node;
    return { ...counters, ...state.counters(), inflightBytes: inflight.bytes, qos0Bytes };
  }

  /**
   * Stops: takes no more connections and packets, lets acknowledgements of what was taken leave, tells MQTT 5 clients,
   * closes. What is not over after `deadlineMs` is cut off.
   */
  async close(deadlineMs: number): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    for (const stop of this.#stopListening) stop();
    const { gates, state, wills, broker } = this.#node;
    const abandon = new AbortController();
    const deadline = sleep(deadlineMs, undefined, { signal: abandon.signal }).catch(() => {});
    await Promise.race([Promise.all(Array.from(gates, (gate) => gate.drain())), deadline]);
    const left = Array.from(gates, (gate) => gate.gone);
    for (const gate of gates) gate.abort('shutdown');
    await Promise.race([
      Promise.all([...left, this.#sweeper.close(), broker.close()]).then(() => wills.idle()),
      deadline,
    ]);
    await Promise.race([state.close().catch(() => {}), deadline]); // without it the others find out by themselves
    abandon.abort();
  }

  #serve(socket: net.Socket): void {
    this.handle(socket, { remoteAddress: socket.remoteAddress ?? '' });
  }

  #listen(server: net.Server, { host, port }: ListenAddress): Promise<net.AddressInfo> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        server.on('error', (error) => this.#node.logger.error({ err: error }, 'mqtt listener failed'));
        this.#stopListening.push(() => server.close());
        resolve(server.address() as net.AddressInfo);
      });
    });
  }
}
