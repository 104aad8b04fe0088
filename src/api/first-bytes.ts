import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A client that speaks HTTP/2 without TLS begins with this (RFC 9113 §3.4); no HTTP/1.1 method does. */
const preface = Buffer.from('PRI');

export interface SorterOptions {
  /** Gets a connection that begins with HTTP/2's preface; nothing of it was consumed. */
  readonly toHttp2: (socket: Socket) => void;
  /** A connection that has not said by then what it speaks is closed. */
  readonly firstBytesMs: number;
  /** Of both protocols together; a further one is closed as it arrives. */
  readonly connectionsMax: number;
}

/**
 * Lets HTTP/1.1 and gRPC share one port: looks at the first bytes of every connection of an HTTP server and hands it on,
 * to the server itself or away. So one listener, one bound on connections and one address serve both.
 */
export class ConnectionSorter {
  readonly #options: SorterOptions;
  readonly #toHttp1: (socket: Socket) => void;
  readonly #unsorted = new Set<Socket>();
  #http1 = 0;
  #http2 = 0;
  #silent = 0;
  #open = 0;
  #refused = 0;

  constructor(server: Server, options: SorterOptions) {
    this.#options = options;
    const listeners = server.listeners('connection');
    this.#toHttp1 = (socket) => {
      for (const listener of listeners) listener.call(server, socket);
    };
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => this.#admit(socket));
  }

  counters() {
    return {
      connectionsRefused: this.#refused,
      connectionsUnsorted: this.#unsorted.size,
      connectionsByProtocol: { 'HTTP/1.1': this.#http1, 'HTTP/2': this.#http2 },
      /** Closed because they never said what they speak. */
      connectionsSilent: this.#silent,
    };
  }

  /** Closes those that have said nothing yet. */
  close(): void {
    for (const socket of this.#unsorted) socket.destroy();
  }

  /**
   * Not by `server.maxConnections`: in a worker, Node 20 gives back a connection past it to the supervisor, who offers it
   * to the next worker, and so on without end; it is never closed, and the processes spin.
   */
  #admit(socket: Socket): void {
    if (this.#open >= this.#options.connectionsMax) {
      this.#refused++;
      socket.destroy();
      return;
    }
    this.#open++;
    socket.once('close', () => this.#open--);
    this.#look(socket);
  }

  #look(socket: Socket): void {
    let seen: Buffer = Buffer.alloc(0);
    const forget = () => this.#unsorted.delete(socket);
    const timer = setTimeout(() => {
      this.#silent++;
      socket.destroy();
    }, this.#options.firstBytesMs);
    const take = (chunk: Buffer) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const isHttp2 = seen.subarray(0, preface.length).equals(preface.subarray(0, seen.length));
      if (isHttp2 && seen.length < preface.length) return;
      clearTimeout(timer);
      socket.off('data', take).off('close', over).off('end', over).off('error', ignore);
      forget();
      this.#handOn(socket, seen, isHttp2);
    };
    const over = () => {
      clearTimeout(timer);
      forget();
      socket.destroy();
    };
    this.#unsorted.add(socket);
    socket.on('data', take).once('close', over).once('end', over).on('error', ignore);
  }

  #handOn(socket: Socket, seen: Buffer, isHttp2: boolean): void {
    socket.pause();
    socket.unshift(seen);
    if (isHttp2) {
      this.#http2++;
      this.#options.toHttp2(socket);
      return;
    }
    this.#http1++;
    this.#toHttp1(socket);
    socket.resume();
  }
}

/** `close` follows. */
function ignore(): void {}
