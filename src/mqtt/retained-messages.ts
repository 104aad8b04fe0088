import { setImmediate } from 'node:timers/promises';
import type { MqttCounters } from './counters.ts';
import type { BrokerPacket } from './offline-queue.ts';
import { filterMatches } from './topic-rules.ts';

export interface RetainedLimits {
  readonly retainedMessagesMax: number;
  readonly retainedBytesMax: number;
}

const scannedPerTurn = 256;

/** The last message per topic that was published with the retain flag. In memory only: a restart loses them. */
export class RetainedMessages {
  readonly #limits: RetainedLimits;
  readonly #counters: MqttCounters;
  readonly #byTopic = new Map<string, BrokerPacket>();
  #bytes = 0;

  constructor(limits: RetainedLimits, counters: MqttCounters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  get size(): number {
    return this.#byTopic.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** MQTT-3.3.1-5, -6: an empty payload removes what is there. */
  set(packet: BrokerPacket): void {
    const { topic, payload } = packet;
    const before = this.#byTopic.get(topic);
    if (before) {
      this.#byTopic.delete(topic);
      this.#bytes -= sizeOf(before);
    }
    if (payload.length === 0) return;
    const { retainedMessagesMax, retainedBytesMax } = this.#limits;
    if (this.#byTopic.size >= retainedMessagesMax || this.#bytes + sizeOf(packet) > retainedBytesMax) {
      this.#counters.dropped.retained_full++;
      return;
    }
    this.#byTopic.set(topic, { ...packet, payload: exactCopy(payload) });
    this.#bytes += sizeOf(packet);
  }

  /** Those that match any of the filters; gives way to others while it looks through many. */
  async *matching(filters: readonly string[]): AsyncGenerator<BrokerPacket> {
    for (const filter of filters) {
      if (!/[+#]/.test(filter)) {
        const packet = this.#byTopic.get(filter);
        if (packet) yield packet;
      } else yield* this.#scan(filter);
    }
  }

  async *#scan(filter: string): AsyncGenerator<BrokerPacket> {
    let scanned = 0;
    for (const [topic, packet] of this.#byTopic) {
      if (++scanned % scannedPerTurn === 0) await setImmediate();
      if (filterMatches(filter, topic)) yield packet;
    }
  }
}

function sizeOf({ topic, payload }: BrokerPacket): number {
  return topic.length + payload.length;
}

/** A copy that pins nothing: neither a socket's chunk nor Node's buffer pool. */
export function exactCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
