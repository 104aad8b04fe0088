import type { MqttCounters } from './counters.ts';

/** A message on its way to a subscriber, in the shape that Aedes gives it. */
export interface BrokerPacket {
  readonly cmd: 'publish';
  /** The broker's own count of messages: names one for as long as the process runs. */
  readonly brokerCounter: number;
  /** Who published it; absent for the broker's own. */
  readonly clientId?: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  messageId?: number | undefined;
}

/** The second half of a QoS 2 delivery: Aedes sends it again until a PUBCOMP comes. */
export interface ReleasePacket {
  readonly cmd: 'pubrel';
  readonly messageId: number;
}

/** The bytes that the queues of all sessions hold together. */
export interface QueueBudget {
  bytes: number;
  readonly bytesMax: number;
  readonly messagesMax: number; // per session
}

interface Queued {
  packet: BrokerPacket | ReleasePacket;
  bytes: number;
}

/**
 * QoS 1 and 2 messages for one session, from the moment they are published until the client has acknowledged them. A
 * PUBREC puts a PUBREL in the place of its message. What does not fit is not kept: it still reaches a client that is
 * connected, once. In memory only: a restart of the server loses it.
 */
export class OfflineQueue {
  readonly #budget: QueueBudget;
  readonly #counters: MqttCounters;
  readonly #queued = new Map<number, Queued>(); // by the broker's own counter, oldest first
  readonly #counterOf = new Map<number, number>(); // packet id -> key of `#queued`

  constructor(budget: QueueBudget, counters: MqttCounters) {
    this.#budget = budget;
    this.#counters = counters;
  }

  get size(): number {
    return this.#queued.size;
  }

  /** @param packet this queue's own: it is changed later. */
  add(packet: BrokerPacket): void {
    const budget = this.#budget;
    const bytes = packet.payload.length;
    if (this.#queued.size >= budget.messagesMax || budget.bytes + bytes > budget.bytesMax) {
      this.#counters.dropped.session_queue_full++;
      return;
    }
    budget.bytes += bytes;
    this.#queued.set(packet.brokerCounter, { packet, bytes });
  }

  /** Notes the packet id that a message was sent with. */
  sent({ brokerCounter, messageId }: BrokerPacket): void {
    const queued = this.#queued.get(brokerCounter);
    if (!queued || messageId === undefined) return;
    (queued.packet as BrokerPacket).messageId = messageId;
    this.#counterOf.set(messageId, brokerCounter);
  }

  /** The client has received a QoS 2 message: from now on its release is what is sent again. */
  release({ messageId }: ReleasePacket): void {
    const queued = this.#queued.get(this.#counterOf.get(messageId) ?? -1);
    if (!queued) return;
    this.#budget.bytes -= queued.bytes;
    queued.bytes = 0;
    queued.packet = { cmd: 'pubrel', messageId };
  }

  /** @returns what was acknowledged. */
  acknowledge(packetId: number): BrokerPacket | ReleasePacket | undefined {
    const counter = this.#counterOf.get(packetId);
    const queued = this.#queued.get(counter ?? -1);
    if (counter === undefined || !queued) return undefined;
    this.#counterOf.delete(packetId);
    this.#queued.delete(counter);
    this.#budget.bytes -= queued.bytes;
    return queued.packet;
  }

  packets(): (BrokerPacket | ReleasePacket)[] {
    return Array.from(this.#queued.values(), ({ packet }) => packet);
  }

  clear(): void {
    for (const { bytes } of this.#queued.values()) this.#budget.bytes -= bytes;
    this.#queued.clear();
    this.#counterOf.clear();
  }
}
