/** A QoS 1 or 2 message that its subscriber has not acknowledged for good. */
export interface Outgoing {
  /** Its number in the session's queue. */
  readonly id: number;
  readonly qos: number;
  /**
   * QoS 2 (MQTT5 §4.3.3, the sender's side): sent ──PUBREC──► received ──durable──► released ──PUBCOMP──► gone.
   * QoS 1 stays `sent` until its PUBACK.
   */
  step: 'sent' | 'received' | 'released';
}

const packetIds = 65_535;

/**
 * The packet id of the message with this number. It follows from the number, so that a message has the same one on every
 * connection and every node (MQTT-4.4.0-1) without anybody keeping it. Two messages meet in one id only if 65,534 lie
 * between them; the later one then waits.
 */
export function packetIdOf(id: number): number {
  return ((id - 1) % packetIds) + 1;
}

/** What a connection has been sent and has not acknowledged, by packet id; at most `max` (MQTT-3.3.4-9). */
export class OutgoingWindow {
  readonly #max: number;
  readonly #outgoing = new Map<number, Outgoing>();

  constructor(max: number) {
    this.#max = max;
  }

  get free(): number {
    return this.#max - this.#outgoing.size;
  }

  get(packetId: number): Outgoing | undefined {
    return this.#outgoing.get(packetId);
  }

  add(packetId: number, outgoing: Outgoing): void {
    this.#outgoing.set(packetId, outgoing);
  }

  delete(packetId: number): void {
    this.#outgoing.delete(packetId);
  }
}
