import { connect, type Socket } from 'node:net';
import { generate, type IConnackPacket, type IConnectPacket, type Packet, parser } from 'mqtt-packet';

/**
 * One device's network connection at a time: TCP, CONNECT/CONNACK, frames, keep-alive.
 *
 *   down ──open──► connecting ──CONNACK 0──► up
 *     ▲                │                      │   refused, timed out, broken, cut, closed
 *     └────────────────┴──────────────────────┘
 *
 * Why not `mqtt` (mqtt.js 5.16): on reconnect it sends the unfinished messages one at a time, each waiting for the last one's
 * acknowledgement, never sets DUP (MQTT-3.3.1-1), and fails whatever was published meanwhile when the link breaks again,
 * which leaves the order to the caller. A simulator that is to judge a server's order and exactly-once must know exactly
 * what it sent and when; and it wants to cut a link between two given packets. Frames are `mqtt-packet`'s.
 *
 * The link keeps no messages and starts no timers; `sweep` is called by the fleet's one timer.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  #socket: Socket | undefined;
  #up = false;
  #openedMs = 0;
  #heardMs = 0;
  #pinged = false;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
  }

  get state(): 'down' | 'connecting' | 'up' {
    if (this.#socket === undefined) return 'down';
    return this.#up ? 'up' : 'connecting';
  }

  /** False while the socket's own buffer is full: the server reads more slowly than the device sends. */
  get writable(): boolean {
    return this.#up && this.#socket?.writableNeedDrain === false;
  }

  /** @param clean false: take up the session of this client id. */
  open(clean: boolean, nowMs: number): void {
    const { host, port, protocolVersion } = this.#options;
    const socket = connect({ host, port, noDelay: true });
    this.#socket = socket;
    this.#openedMs = nowMs;
    this.#heardMs = nowMs;
    this.#pinged = false;
    const frames = parser({ protocolVersion });
    frames.on('packet', (packet) => this.#onPacket(socket, packet));
    frames.on('error', (error: Error) => this.#lose(socket, `unreadable packet: ${error.message}`));
    socket.on('connect', () => this.#write([this.#connectPacket(clean)]));
    socket.on('data', (bytes) => {
      if (socket === this.#socket) frames.parse(bytes);
    });
    socket.on('drain', () => {
      if (socket === this.#socket && this.#up) this.#events.onWritable();
    });
    socket.on('error', (error) => this.#lose(socket, error.message));
    socket.on('end', () => this.#lose(socket, 'the server closed the connection'));
    socket.on('close', () => this.#lose(socket, 'the connection closed'));
  }

  /** In one write. Call only while up. */
  send(packets: readonly Packet[]): void {
    this.#write(packets);
  }

  /** Tears the connection down at once, as a dead radio would: no DISCONNECT. */
  cut(reason: string): void {
    if (this.#socket !== undefined) this.#lose(this.#socket, reason);
  }

  /**
   * Says DISCONNECT and waits until everything is written and the server has closed its side too.
   * @returns true when that happened; false when the link was not up, broke, or took longer than `timeoutMs`.
   */
  async close(timeoutMs: number): Promise<boolean> {
    const socket = this.#socket;
    if (socket === undefined || !this.#up) {
      this.cut('closed');
      return false;
    }
    this.#write([this.#disconnectPacket()]);
    this.#socket = undefined; // from here on nothing of it counts as an event
    this.#up = false;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => socket.destroy(new Error('timed out')), timeoutMs);
      socket.once('close', (failed) => {
        clearTimeout(timer);
        resolve(!failed);
      });
      socket.end();
    });
  }

  /** Connect timeout and keep-alive. Pings whenever nothing was heard for half the keep-alive time (MQTT-3.1.2-23). */
  sweep(nowMs: number): void {
    if (this.#socket === undefined) return;
    const { connectTimeoutMs, keepAliveS } = this.#options;
    if (!this.#up) {
      if (nowMs - this.#openedMs > connectTimeoutMs) this.cut(`no CONNACK within ${connectTimeoutMs} ms`);
      return;
    }
    const silentMs = nowMs - this.#heardMs;
    if (silentMs > keepAliveS * 1000) {
      this.cut(`nothing heard for ${keepAliveS} s`);
    } else if (silentMs > keepAliveS * 500 && !this.#pinged) {
      this.#pinged = true;
      this.#write([{ cmd: 'pingreq' }]);
    }
  }

  #onPacket(socket: Socket, packet: Packet): void {
    if (socket !== this.#socket) return; // the rest of a chunk whose connection was cut meanwhile
    this.#heardMs = this.#options.now();
    this.#pinged = false;
    if (!this.#up) this.#onConnack(socket, packet);
    else if (packet.cmd === 'disconnect') this.#lose(socket, `the server sent DISCONNECT ${packet.reasonCode ?? 0}`);
    else this.#events.onPacket(packet);
  }

  #onConnack(socket: Socket, packet: Packet): void {
    if (packet.cmd !== 'connack') {
      this.#lose(socket, `${packet.cmd} came before CONNACK`);
      return;
    }
    const code = packet.reasonCode ?? packet.returnCode ?? 0;
    if (code !== 0) {
      this.#lose(socket, `the server refused the connection: CONNACK ${code}`);
      return;
    }
    this.#up = true;
    this.#events.onUp(packet);
  }

  #lose(socket: Socket, reason: string): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#up = false;
    socket.destroy();
    this.#events.onDown(reason);
  }

  #write(packets: readonly Packet[]): void {
    const { protocolVersion } = this.#options;
    const frames = packets.map((packet) => generate(packet, { protocolVersion }));
    this.#socket?.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  #connectPacket(clean: boolean): IConnectPacket {
    const { clientId, protocolVersion, keepAliveS, username, password, sessionExpiryS } = this.#options;
    return {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion,
      clientId,
      clean,
      keepalive: keepAliveS,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
      ...(protocolVersion === 5 && !clean ? { properties: { sessionExpiryInterval: sessionExpiryS } } : {}),
    };
  }

  /** MQTT 5 ends the session with the connection; 3.1.1 cannot say so. */
  #disconnectPacket(): Packet {
    if (this.#options.protocolVersion === 4) return { cmd: 'disconnect' };
    return { cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } };
  }
}

export interface LinkOptions {
  readonly host: string;
  readonly port: number;
  readonly protocolVersion: 4 | 5;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepAliveS: number;
  /** MQTT 5: how long the server keeps the session of an absent device. */
  readonly sessionExpiryS: number;
  readonly connectTimeoutMs: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

export interface LinkEvents {
  onUp(connack: IConnackPacket): void;
  /** Any packet after CONNACK. */
  onPacket(packet: Packet): void;
  /** There is room in the socket's buffer again. */
  onWritable(): void;
  /** Once per `open`, whatever the end was; not after `close`. */
  onDown(reason: string): void;
}
