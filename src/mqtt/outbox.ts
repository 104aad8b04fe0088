import type { Duplex } from 'node:stream';

const slabBytes = 512; // 128 acknowledgements; doubled as needed
const slabBytesMax = 16_384;
const copyBytesMax = 2048; // a larger piece is handed on as it is

/**
 * What one connection has to send. Everything that becomes due within a turn of the event loop leaves in one write:
 * acknowledgements and small pieces are laid down side by side in a slab, larger ones keep their place among them.
 * Whoever writes here writes whole packets, so nothing is ever interleaved within a packet.
 */
export class Outbox {
  readonly #socket: Duplex;
  readonly #turn: FlushTurn;
  readonly #parts: Uint8Array[] = [];
  #slab: Buffer | undefined;
  #from = 0; // start of the slab's bytes that are not in `#parts` yet
  #at = 0;
  #bytes = 0;
  #scheduled = false;

  constructor(socket: Duplex, turn: FlushTurn) {
    this.#socket = socket;
    this.#turn = turn;
  }

  /** Bytes that wait: here, in the socket, and behind it as far as the socket knows. */
  get backlogBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** A four-byte acknowledgement: the success of a PUBACK, PUBREC or PUBCOMP in every version. */
  acknowledge(header: number, packetId: number): void {
    const slab = this.#room(4);
    const at = this.#at;
    slab[at] = header;
    slab[at + 1] = 2;
    slab[at + 2] = packetId >> 8;
    slab[at + 3] = packetId & 0xff;
    this.#grow(4);
  }

  write(piece: Uint8Array): void {
    if (piece.length > copyBytesMax) {
      this.#seal();
      this.#parts.push(piece);
      this.#bytes += piece.length;
      this.#schedule();
      return;
    }
    const slab = this.#room(piece.length);
    slab.set(piece, this.#at);
    this.#grow(piece.length);
  }

  flush(): void {
    this.#scheduled = false;
    this.#seal();
    this.#slab = undefined; // the socket may still hold it
    const parts = this.#parts;
    this.#bytes = 0;
    if (parts.length === 0 || this.#socket.destroyed || this.#socket.writableEnded) {
      parts.length = 0;
      return;
    }
    if (parts.length > 1) this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    if (parts.length > 1) this.#socket.uncork();
    parts.length = 0;
  }

  #room(bytes: number): Buffer {
    if (this.#slab && this.#at + bytes <= this.#slab.length) return this.#slab;
    const last = this.#slab?.length ?? slabBytes / 2;
    this.#seal();
    this.#slab = Buffer.allocUnsafe(Math.max(bytes, Math.min(last * 2, slabBytesMax)));
    this.#from = 0;
    this.#at = 0;
    return this.#slab;
  }

  #grow(bytes: number): void {
    this.#at += bytes;
    this.#bytes += bytes;
    this.#schedule();
  }

  #seal(): void {
    if (!this.#slab || this.#from === this.#at) return;
    this.#parts.push(this.#slab.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#turn.add(this);
  }
}

/** Flushes, once per turn of the event loop, the outboxes that something was put into. */
export class FlushTurn {
  #dirty: Outbox[] = [];

  add(outbox: Outbox): void {
    if (this.#dirty.push(outbox) === 1) setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const outbox of dirty) outbox.flush();
  };
}
