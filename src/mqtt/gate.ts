import type { Duplex } from 'node:stream';
import { PubSubError } from '../domain/errors.ts';
import type { ClientHost } from './client-host.ts';
import { readConnect, versionOf } from './connect-packet.ts';
import type { ConnectedClient } from './connected-client.ts';
import { checkFlags, packetTypes } from './control-packets.ts';
import type { CloseReason } from './counters.ts';
import { FrameReader } from './frame-reader.ts';
import { shakeHands } from './handshake.ts';
import type { MqttNode } from './node.ts';
import { Outbox } from './outbox.ts';
import { Refusal, reasonCodes } from './refusal.ts';
import { connackRefusal, disconnect } from './replies.ts';

const storeIsAway: ReadonlySet<CloseReason> = new Set(['store_unavailable', 'store_deadline']);

/**
 * One network connection, from the accepted socket to its end.
 *
 *     connecting ──CONNECT──► greeting ──CONNACK──► open ──► closed
 *         └──timeout, anything else──► closed ◄──refused──┘
 *
 * The gate cuts packets out of the stream, bounds their size, and hands them on one by one, as long as there is room;
 * otherwise it stops reading, and TCP tells the client. Whatever is wrong with a packet comes back as a Refusal, and the
 * gate ends the connection the way the client's version of MQTT has it.
 */
export class Gate implements ClientHost {
  readonly outbox: Outbox;
  readonly remoteAddress: string;
  /** Resolves when nothing is read or written any more. */
  readonly ended: Promise<void>;
  /** Resolves when everything of this connection is over: Aedes has let go of the client, its session is free. */
  readonly gone: Promise<void>;
  /** Set once this connection is the client's only one. */
  clientId: string | undefined;
  /** Its name in the state. */
  connection: string | undefined;
  readonly #node: MqttNode;
  readonly #socket: Duplex;
  readonly #frames = new FrameReader();
  readonly #connectTimer: NodeJS.Timeout;
  #phase: 'connecting' | 'greeting' | 'open' | 'closed' = 'connecting';
  #version = 0;
  #client: ConnectedClient | undefined;
  #handshake: Promise<void> | undefined;
  #pumping = false;
  #paused = false;
  #finished = false; // the client sends nothing more
  #draining = false; // the server stops: nothing more is taken
  #onEnded!: () => void;
  #onGone!: () => void;

  constructor(node: MqttNode, socket: Duplex, remoteAddress: string) {
    this.#node = node;
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.outbox = new Outbox(socket, node.turn);
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    this.gone = new Promise((resolve) => {
      this.#onGone = resolve;
    });
    this.#connectTimer = setTimeout(() => this.close('connect_timeout'), node.limits.connectTimeoutMs);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onEnd());
    socket.on('error', () => this.close('client_gone')); // resets and the like; 'close' follows
    socket.on('close', () => this.close('client_gone'));
  }

  get closed(): boolean {
    return this.#phase === 'closed';
  }

  get listening(): boolean {
    return !this.#paused;
  }

  /** Takes packets again, if there is room. */
  resume(): void {
    if (this.#paused) this.#pump();
  }

  refuse({ code, message, closeReason }: Refusal): void {
    if (this.closed) return;
    const { clientId, remoteAddress } = this;
    const told = { clientId, remoteAddress, reason: closeReason, detail: message };
    // While the store is away the log says so once; a line for every device that tries again would drown it.
    const level = storeIsAway.has(closeReason) ? 'debug' : 'info';
    if (closeReason !== 'shutdown') this.#node.logger[level](told, 'mqtt connection ended by the server');
    const last =
      this.#client && this.#phase === 'open'
        ? disconnect(this.#version, code, message, this.#client.fit)
        : connackRefusal(this.#version, code, message);
    this.close(closeReason, last);
  }

  fail(error: unknown): void {
    if (error instanceof Refusal) {
      this.refuse(error);
      return;
    }
    const { clientId } = this;
    const stored = error instanceof PubSubError; // the session could not be written
    if (!this.closed && !stored) this.#node.logger.error({ err: error, clientId }, 'mqtt connection failed');
    const message = 'The server could not go on with this connection. Connect again.';
    const reason = stored ? 'store_unavailable' : 'internal_error';
    this.refuse(new Refusal(reasonCodes.serverUnavailable, message, reason));
  }

  /** @param last a packet to send before. */
  close(reason: CloseReason, last?: Buffer): void {
    if (!this.#begin(reason)) return;
    if (last) this.outbox.write(last);
    this.outbox.flush();
    this.#socket.end();
    if (this.#socket.destroyed) return;
    // What the client still sends is read and thrown away: closing over unread bytes is a reset, which takes our last
    // packet with it.
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), this.#node.limits.closeLingerMs);
    this.#socket.once('close', () => clearTimeout(linger));
  }

  abort(reason: CloseReason): void {
    if (this.#begin(reason)) this.#socket.destroy();
  }

  /** The server stops: takes nothing more, lets acknowledgements leave, says goodbye. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#paused = true;
    this.#socket.pause();
    await this.#client?.idle();
    this.refuse(new Refusal(reasonCodes.serverShuttingDown, 'The server is shutting down.', 'shutdown'));
    await this.gone;
    if (!this.#socket.closed) await new Promise((closed) => this.#socket.once('close', closed));
  }

  #onData(chunk: Buffer): void {
    if (this.closed) return;
    this.#frames.push(chunk);
    this.#pump();
  }

  #onDrain(): void {
    this.#client?.drained();
    this.resume();
  }

  #onEnd(): void {
    this.#finished = true;
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.closed) return;
    this.#pumping = true;
    let more = false;
    try {
      more = this.#takeAll();
    } catch (error) {
      this.fail(error);
    }
    this.#pumping = false;
    if (this.closed) return;
    this.#regulate(more);
  }

  /** @returns whether packets may be left for lack of room. */
  #takeAll(): boolean {
    const { limits, clock } = this.#node;
    if (!this.#hasRoom()) return true;
    let bytesMax = this.#phase === 'open' ? limits.packetBytesMax : limits.connectBytesMax;
    if (!this.#frames.next(bytesMax)) return false;
    this.#client?.heard(clock());
    do {
      if (this.#client) this.#client.take(this.#frames);
      else this.#takeConnect();
      if (!this.#hasRoom()) return true;
      bytesMax = limits.packetBytesMax;
    } while (this.#frames.next(bytesMax));
    return false;
  }

  #hasRoom(): boolean {
    if (this.#draining) return false;
    if (this.#phase === 'connecting') return true;
    if (this.#phase !== 'open') return false;
    return this.#client!.ready && this.outbox.backlogBytes < this.#node.limits.unreadBytesMax;
  }

  #regulate(more: boolean): void {
    if (!more && this.#finished) this.close('client_gone');
    else if (more && !this.#paused) {
      this.#paused = true;
      if (this.#phase === 'open') this.#node.counters.readPauses++;
      this.#socket.pause();
    } else if (!more && this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  #takeConnect(): void {
    const { header, buffer, start, end } = this.#frames;
    if (header >> 4 !== packetTypes.connect) {
      this.close('protocol_error'); // MQTT-3.1.0-1: there is no version yet in which to say why
      return;
    }
    const body = Buffer.from(buffer.subarray(start, end)); // outlives the chunk
    this.#version = versionOf(body);
    checkFlags(header);
    const packet = readConnect(body, this.#node.limits);
    this.#phase = 'greeting';
    this.#handshake = shakeHands(this.#node, this, packet)
      .then((client) => this.#greet(client))
      .catch((error: unknown) => this.fail(error));
  }

  async #greet(client: ConnectedClient | undefined): Promise<void> {
    this.#client = client;
    if (!client || this.closed) return;
    await client.greet();
    if (this.closed) return;
    clearTimeout(this.#connectTimer);
    this.#phase = 'open';
    this.#pump();
  }

  /** @returns false when the connection is closed already. */
  #begin(reason: CloseReason): boolean {
    if (this.closed) return false;
    this.#phase = 'closed';
    this.#node.counters.closed[reason]++;
    clearTimeout(this.#connectTimer);
    this.#onEnded();
    void this.#client?.close();
    void this.#finish();
    return true;
  }

  async #finish(): Promise<void> {
    await this.#handshake;
    const client = this.#client;
    await client?.close();
    if (this.clientId !== undefined) this.#node.live.delete(this.clientId);
    this.#node.gates.delete(this);
    this.#onGone();
  }
}
