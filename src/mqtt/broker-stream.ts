import { Duplex } from 'node:stream';

/** The gate, as its stream sees it. */
export interface StreamOwner {
  /** One whole packet from Aedes. @param bytes its size; the pieces together. */
  fromBroker(header: number, pieces: readonly Uint8Array[], bytes: number): void;
  /** Aedes is done with the connection. */
  brokerHungUp(): void;
}

/**
 * What Aedes takes for its socket. It is a Duplex for its life cycle only; reading and writing are done directly:
 *
 * - `feed` makes Aedes handle a packet before it returns, so that packets of a client take effect in the order in which
 *   they came, and so that whatever Aedes throws meets the caller and not the process.
 * - `write` takes the pieces in which mqtt-packet writes a packet, hands whole packets on, and always asks for more:
 *   Aedes never has to wait for a client.
 */
export class BrokerStream extends Duplex {
  readonly owner: StreamOwner;
  #unread: Buffer | null = null;
  #pieces: Uint8Array[] = [];
  #header = 0;
  #gathered = 0; // bytes in `#pieces`
  #size = 0; // of the packet, once its length is known

  constructor(owner: StreamOwner) {
    super({ autoDestroy: false });
    this.owner = owner;
  }

  feed(packet: Buffer): void {
    this.#unread = this.#unread ? Buffer.concat([this.#unread, packet]) : packet;
    this.emit('readable');
  }

  override read(size?: number): Buffer | null {
    if (size === 0) return null; // Node asks whether there is more
    const unread = this.#unread;
    this.#unread = null;
    return unread;
  }

  override write(piece: Uint8Array | string): boolean {
    if (piece.length === 0) return true; // an empty payload, after its packet is complete
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    if (this.#gathered === 0) this.#header = bytes[0]!;
    this.#pieces.push(bytes);
    this.#gathered += bytes.length;
    if (this.#size === 0) this.#size = sizeOf(this.#pieces);
    if (this.#size > 0 && this.#gathered >= this.#size) this.#handOn();
    return true;
  }

  override cork(): void {}

  override uncork(): void {}

  override _read(): void {}

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.owner.brokerHungUp();
    done(null);
  }

  #handOn(): void {
    const pieces = this.#pieces;
    const bytes = this.#gathered;
    this.#pieces = [];
    this.#gathered = 0;
    this.#size = 0;
    this.owner.fromBroker(this.#header, pieces, bytes);
  }
}

/** The size of the packet that begins with these pieces: they may end anywhere. @returns 0: not known yet. */
function sizeOf(pieces: readonly Uint8Array[]): number {
  let remaining = 0;
  let shift = 0;
  let at = 0;
  for (const piece of pieces) {
    for (const byte of piece) {
      if (at++ === 0) continue; // the header
      remaining += (byte & 0x7f) << shift;
      shift += 7;
      if ((byte & 0x80) === 0) return at + remaining;
    }
  }
  return 0;
}
