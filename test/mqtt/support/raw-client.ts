import { once } from 'node:events';
import net from 'node:net';

/** A client that sends bytes as they are and hands back whole packets. */
export class RawClient {
  readonly socket: net.Socket;
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
  readonly #packets: Buffer[] = [];
  readonly #waiting: ((packet: Buffer | undefined) => void)[] = [];
  #unread = Buffer.alloc(0);
  #over = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#cut(chunk));
    socket.on('error', () => {}); // 'close' follows
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#over = true;
        for (const wait of this.#waiting.splice(0)) wait(undefined);
        resolve();
      });
    });
  }

  static async open(port: number): Promise<RawClient> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** @param bytes buffers, or hex with any white space. */
  send(...bytes: (Buffer | string)[]): void {
    this.socket.write(Buffer.concat(bytes.map(toBuffer)));
  }

  /** @returns undefined when the connection ended first. */
  next(): Promise<Buffer | undefined> {
    const packet = this.#packets.shift();
    if (packet || this.#over) return Promise.resolve(packet);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async take(count: number): Promise<string[]> {
    const packets: string[] = [];
    while (packets.length < count) {
      const packet = await this.next();
      if (!packet) throw new Error(`The connection ended after ${packets.length} of ${count} packets.`);
      packets.push(packet.toString('hex'));
    }
    return packets;
  }

  /** Everything until the server closes. */
  async rest(): Promise<Buffer[]> {
    const packets: Buffer[] = [];
    for (let packet = await this.next(); packet; packet = await this.next()) packets.push(packet);
    return packets;
  }

  /** Packets that have arrived and nobody has asked for. */
  get arrived(): number {
    return this.#packets.length;
  }

  kill(): void {
    this.socket.resetAndDestroy();
  }

  #cut(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    for (let size = sizeOf(this.#unread); size > 0 && size <= this.#unread.length; size = sizeOf(this.#unread)) {
      const packet = this.#unread.subarray(0, size);
      this.#unread = this.#unread.subarray(size);
      const wait = this.#waiting.shift();
      if (wait) wait(packet);
      else this.#packets.push(packet);
    }
  }
}

/** @returns 0 while the fixed header is incomplete. */
function sizeOf(bytes: Buffer): number {
  let remaining = 0;
  for (let at = 1; at < bytes.length && at < 5; at++) {
    remaining += (bytes[at]! & 0x7f) * 128 ** (at - 1);
    if (bytes[at]! < 0x80) return at + 1 + remaining;
  }
  return 0;
}

function toBuffer(bytes: Buffer | string): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes.replace(/\s/g, ''), 'hex') : bytes;
}
