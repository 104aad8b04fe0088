import { isUtf8 } from 'node:buffer';
import { malformed, protocolError } from './refusal.ts';

/** Reads the fields of one packet's body strictly: whatever does not fit is a malformed packet (MQTT5 §4.13). */
export class ByteReader {
  readonly bytes: Buffer;
  readonly #packet: string; // its name, for messages
  readonly #end: number;
  at: number;

  constructor(packet: string, bytes: Buffer, start: number, end: number) {
    this.#packet = packet;
    this.bytes = bytes;
    this.at = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.at;
  }

  u8(field: string): number {
    return this.bytes[this.#take(1, field)]!;
  }

  u16(field: string): number {
    return this.bytes.readUInt16BE(this.#take(2, field));
  }

  u32(field: string): number {
    return this.bytes.readUInt32BE(this.#take(4, field));
  }

  /** MQTT5 §1.5.5: at most four bytes, and no more than needed (MQTT-1.5.5-1). */
  varint(field: string): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.u8(field);
      value += (byte & 0x7f) << shift;
      if (byte & 0x80) continue;
      if (byte === 0 && shift > 0) throw malformed(`${this.#packet}: ${field} has more bytes than needed.`);
      return value;
    }
    throw malformed(`${this.#packet}: ${field} has more than four bytes.`);
  }

  /** A view, not a copy. */
  binary(field: string): Buffer {
    const length = this.u16(field);
    const start = this.#take(length, field);
    return this.bytes.subarray(start, start + length);
  }

  /** MQTT-1.5.4-1, -2: well-formed UTF-8, which leaves out surrogates, and no U+0000. */
  text(field: string): string {
    const bytes = this.binary(field);
    if (!isUtf8(bytes)) throw malformed(`${this.#packet}: ${field} is not well-formed UTF-8.`);
    if (bytes.includes(0)) throw malformed(`${this.#packet}: ${field} contains U+0000.`);
    return bytes.toString('utf8');
  }

  packetId(): number {
    const id = this.u16('packet identifier');
    if (id === 0) throw protocolError(`${this.#packet}: packet identifier 0; 1 to 65535 are allowed.`); // MQTT-2.2.1-3
    return id;
  }

  /** The next `length` bytes as a reader of their own. */
  inner(length: number, field: string): ByteReader {
    const start = this.#take(length, field);
    return new ByteReader(this.#packet, this.bytes, start, start + length);
  }

  done(): void {
    if (this.left > 0) throw malformed(`${this.#packet}: ${this.left} bytes too many at its end.`);
  }

  #take(length: number, field: string): number {
    const start = this.at;
    if (start + length > this.#end) throw malformed(`${this.#packet}: it ends within ${field}.`);
    this.at = start + length;
    return start;
  }
}
