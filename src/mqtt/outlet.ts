import { packetTypes } from './control-packets.ts';
import type { MqttNode } from './node.ts';
import type { Outbox } from './outbox.ts';

export interface OutletOptions {
  readonly node: MqttNode;
  readonly outbox: Outbox;
  /** Sent in place of Aedes' own. */
  readonly connack: Buffer;
  /** The CONNACK is on its way. */
  readonly onConnack: () => void;
  /** A SUBACK or UNSUBACK is on its way. */
  readonly onAnswer: () => void;
  /** The client does not read, and what waits for it may not be dropped. */
  readonly onOverflow: () => void;
}

/**
 * What Aedes sends to one client. Its CONNACK is replaced by the gate's, and nothing leaves before that. A client that
 * does not read costs at most `outboundBytesMax` (I8): past it QoS 0 messages are dropped, and one that may not be
 * dropped ends the connection.
 */
export class Outlet {
  readonly #options: OutletOptions;
  #early: (() => void)[] | undefined = [];
  #closed = false;

  constructor(options: OutletOptions) {
    this.#options = options;
  }

  /** One whole packet. @param bytes its size; the pieces together. */
  take(header: number, pieces: readonly Uint8Array[], bytes: number): void {
    const type = header >> 4;
    if (this.#closed) {
      if (type === packetTypes.publish) this.#options.node.counters.dropped.outbound_after_close++;
    } else if (type === packetTypes.connack) this.#open(pieces);
    else if (this.#early) this.#early.push(() => this.#send(header, pieces, bytes));
    else this.#send(header, pieces, bytes);
  }

  close(): void {
    this.#closed = true;
  }

  #open(pieces: readonly Uint8Array[]): void {
    const code = Buffer.concat(pieces)[3];
    if (code !== 0) return; // Aedes then hangs up
    this.#options.outbox.write(this.#options.connack);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const send of early) send();
    this.#options.onConnack();
  }

  #send(header: number, pieces: readonly Uint8Array[], bytes: number): void {
    const { outbox, onAnswer } = this.#options;
    const type = header >> 4;
    if (type === packetTypes.publish && !this.#hasRoom(header, bytes)) return;
    for (const piece of pieces) outbox.write(piece);
    if (type === packetTypes.suback || type === packetTypes.unsuback) onAnswer();
  }

  #hasRoom(header: number, bytes: number): boolean {
    const { node, outbox, onOverflow } = this.#options;
    if (outbox.backlogBytes + bytes <= node.limits.outboundBytesMax) {
      node.counters.delivered++;
      return true;
    }
    if ((header & 6) === 0) node.counters.dropped.outbound_qos0++;
    else onOverflow();
    return false;
  }
}
