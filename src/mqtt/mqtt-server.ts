import type { Server as HttpServer } from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import type { Uplink } from '../bridge/uplink.ts';
import type { Table } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Broker } from './broker.ts';
import { ByteBudget } from './byte-budget.ts';
import { MqttCounters } from './counters.ts';
import { Gate } from './gate.ts';
import { guardUplink } from './guarded-uplink.ts';
import { defaultMqttLimits, type MqttLimits } from './limits.ts';
import type { Authenticate, MqttNode } from './node.ts';
import { FlushTurn } from './outbox.ts';
import { PendingPool } from './pending.ts';
import { RetainedMessages } from './retained-messages.ts';
import type { SessionRecord } from './session.ts';
import { SessionStore } from './session-store.ts';
import { Sessions } from './sessions.ts';
import { attachWebSocket } from './web-socket.ts';

export interface MqttServerOptions {
  readonly uplink: Uplink;
  readonly sessions: Table<SessionRecord>;
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

export interface MqttServerCounters extends Readonly<MqttCounters> {
  readonly sessions: number;
  readonly sessionQueueBytes: number;
  readonly retainedMessages: number;
  readonly retainedBytes: number;
  readonly inflightBytes: number;
  readonly qos0Bytes: number;
}

/** Reads the sessions that an earlier process left, and starts a server that listens nowhere yet. */
export async function openMqttServer(options: MqttServerOptions): Promise<MqttServer> {
  const { uplink, logger, clock, authenticate } = options;
  const limits = { ...defaultMqttLimits, ...options.limits };
  const counters = new MqttCounters();
  const sessions = await Sessions.load({ table: options.sessions, counters, clock, limits });
  const retained = new RetainedMessages(limits, counters);
  const broker = await Broker.open({ store: new SessionStore(sessions, retained), sessions, limits, logger });
  const node: MqttNode = {
    limits,
    counters,
    clock,
    logger,
    uplink: guardUplink(uplink),
    sessions,
    broker,
    authenticate,
    turn: new FlushTurn(),
    pendings: new PendingPool(),
    inflight: new ByteBudget(limits.inflightTotalBytesMax),
    qos0Bytes: 0,
    gates: new Set(),
    live: new Map(),
  };
  return new MqttServer(node, retained);
}

/** MQTT 3.1.1 and 5 over TCP, TLS and WebSocket; see `Gate` for a connection, `Intake` for what becomes of a message. */
export class MqttServer {
  readonly #node: MqttNode;
  readonly #retained: RetainedMessages;
  readonly #sweep: NodeJS.Timeout;
  readonly #stopListening: (() => void)[] = [];
  #closing = false;

  constructor(node: MqttNode, retained: RetainedMessages) {
    this.#node = node;
    this.#retained = retained;
    this.#sweep = setInterval(() => node.sessions.sweep(), node.limits.sessionSweepMs).unref();
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
    const { counters, sessions, inflight, qos0Bytes } = this.#node;
    return {
      ...counters,
      sessions: sessions.size,
      sessionQueueBytes: sessions.queuedBytes,
      retainedMessages: this.#retained.size,
      retainedBytes: this.#retained.bytes,
      inflightBytes: inflight.bytes,
      qos0Bytes,
    };
  }

  /**
   * Stops: takes no more connections and packets, lets acknowledgements of what was taken leave, tells MQTT 5 clients,
   * closes. What is not over after `deadlineMs` is cut off.
   */
  async close(deadlineMs: number): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#sweep);
    for (const stop of this.#stopListening) stop();
    const { gates, sessions, broker } = this.#node;
    const abandon = new AbortController();
    const deadline = sleep(deadlineMs, undefined, { signal: abandon.signal }).catch(() => {});
    await Promise.race([Promise.all(Array.from(gates, (gate) => gate.drain())), deadline]);
    for (const gate of gates) gate.abort('shutdown');
    await Promise.race([Promise.all([sessions.idle(), broker.close()]), deadline]);
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
