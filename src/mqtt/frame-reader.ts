import { malformed, Refusal, reasonCodes } from './refusal.ts';

/**
 * Cuts a byte stream into MQTT packets. `next()` answers true when a whole packet is there and leaves it in `header`,
 * `buffer`, `start` and `end`: fields instead of an object, because this runs for every packet.
 *
 * A packet that lies within one chunk is not copied. One that spans chunks is gathered in a buffer that grows by
 * doubling and never past what the packet declares, and the declared size is checked as soon as the fixed header is
 * there: what is held is at most twice what was received, and never more than a limit and a chunk.
 */
export class FrameReader {
  /** First byte: type and flags. */
  header = 0;
  /** Whatever `buffer` is now stays as it is: views of it may outlive the next chunk. */
  buffer: Buffer = Buffer.alloc(0);
  /** The packet's body, without the fixed header, in `buffer`. */
  start = 0;
  end = 0;
  /** The remaining length took more bytes than needed: an error in MQTT 5 only (MQTT-1.5.5-1). */
  padded = false;
  #at = 0; // first byte not yet cut
  #filled = 0; // end of what was received
  #gathering = false; // `buffer` is ours and may have room behind `#filled`
  #wanted = 0; // size of the packet at `#at` when it is known and incomplete

  push(chunk: Buffer): void {
    const held = this.#filled - this.#at;
    if (held === 0) {
      this.buffer = chunk;
      this.#at = 0;
      this.#filled = chunk.length;
      this.#gathering = false;
      return;
    }
    if (!this.#gathering || this.#filled + chunk.length > this.buffer.length) this.#regather(held, chunk.length);
    chunk.copy(this.buffer, this.#filled);
    this.#filled += chunk.length;
  }

  /** @throws Refusal when the fixed header is malformed or declares more than `bytesMax`, header included. */
  next(bytesMax: number): boolean {
    const { buffer } = this;
    const filled = this.#filled;
    let at = this.#at;
    if (filled - at < 2) return false;
    const header = buffer[at++]!;
    let remaining = 0;
    let byte = 0x80;
    for (let shift = 0; byte & 0x80; shift += 7) {
      if (shift > 21) throw malformed('The remaining length has more than four bytes.'); // MQTT5 §1.5.5
      if (at === filled) return false;
      byte = buffer[at++]!;
      remaining += (byte & 0x7f) << shift;
    }
    const bytes = at - this.#at + remaining;
    if (bytes > bytesMax) throw tooLarge(bytes, bytesMax);
    if (at + remaining > filled) {
      this.#wanted = bytes;
      return false;
    }
    this.#wanted = 0;
    this.header = header;
    this.start = at;
    this.end = at + remaining;
    this.padded = byte === 0 && at - this.#at > 2;
    this.#at = this.end;
    return true;
  }

  #regather(held: number, incoming: number): void {
    const needed = held + incoming;
    const doubled = Math.min(2 * needed, Math.max(this.#wanted, needed));
    const gathered = Buffer.allocUnsafeSlow(doubled);
    this.buffer.copy(gathered, 0, this.#at, this.#filled);
    this.buffer = gathered;
    this.#at = 0;
    this.#filled = held;
    this.#gathering = true;
  }
}

function tooLarge(bytes: number, bytesMax: number): Refusal {
  const message = `The packet has ${bytes} bytes; at most ${bytesMax} are allowed here. Send less in one message.`;
  return new Refusal(reasonCodes.packetTooLarge, message, 'packet_too_large');
}
