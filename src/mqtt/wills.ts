import type { Uplink } from '../bridge/uplink.ts';
import { PubSubError } from '../domain/errors.ts';
import type { MqttState, TakenWill } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MqttCounters } from './counters.ts';
import type { FanOut } from './fan-out.ts';
import { decodeProperties } from './property-bytes.ts';
import { decodeWill } from './will-record.ts';

export interface WillsOptions {
  readonly state: MqttState;
  readonly uplink: Uplink;
  readonly fanOut: FanOut;
  readonly counters: MqttCounters;
  readonly clock: () => number;
  readonly logger: Logger;
}

interface Unsent {
  readonly will: TakenWill;
  /** Only the state does not know yet. */
  published: boolean;
  /** The log has said so. */
  told: boolean;
}

/**
 * Publishes the wills that the state hands to this node: the way of any message, and then the state may forget them.
 *
 * One that fails on the way stays ours and is tried again by every sweep. The store recognises the repetition, also when
 * this node dies and another takes the will over: it is stored once. Clients may get it twice then.
 */
export class Wills {
  readonly #options: WillsOptions;
  readonly #unsent = new Map<string, Unsent>(); // bounded by what the state hands out
  readonly #sending = new Set<Promise<void>>();

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  /** In the background: nobody waits for a will. */
  publish(will: TakenWill): void {
    const unsent = this.#unsent.get(will.id) ?? { will, published: false, told: false };
    this.#unsent.set(will.id, unsent);
    const sending = this.#send(unsent).catch((error: unknown) => {
      const { logger } = this.#options;
      if (!unsent.told) logger.warn({ err: error, clientId: will.clientId }, 'mqtt will not published yet');
      unsent.told = true;
    });
    this.#sending.add(sending);
    void sending.then(() => this.#sending.delete(sending));
  }

  publishAgain(): void {
    if (this.#sending.size > 0) return;
    for (const { will } of [...this.#unsent.values()]) this.publish(will);
  }

  /** Resolves when those on their way are published, or have failed. */
  async idle(): Promise<void> {
    await Promise.all(this.#sending);
  }

  async #send(unsent: Unsent): Promise<void> {
    const { will } = unsent;
    const { state, uplink } = this.#options;
    if (!unsent.published) await this.#publish(will);
    unsent.published = true;
    await state.willSent(will);
    this.#unsent.delete(will.id);
    await uplink.release(scopeOf(will.id), 0);
  }

  async #publish(will: TakenWill): Promise<void> {
    const { fanOut, clock } = this.#options;
    const { message, messageExpirySeconds } = decodeWill(will.message);
    await this.#store(will);
    const expiresMs = messageExpirySeconds === undefined ? 0 : clock() + messageExpirySeconds * 1000;
    const audience = fanOut.address({ ...message, expiresMs });
    await fanOut.keep(audience);
    fanOut.deliver(audience);
  }

  async #store({ id, clientId, message: record }: TakenWill): Promise<void> {
    const { uplink, counters, logger } = this.#options;
    const { message, messageExpirySeconds } = decodeWill(record);
    const { topic, payload, qos, retain } = message;
    const known = decodeProperties(message.properties);
    const properties = messageExpirySeconds === undefined ? known : { ...known, messageExpirySeconds };
    const dedupe = { scope: scopeOf(id), packetId: 0 };
    try {
      await uplink.open(clientId).accept({ topic, payload, qos, retain, properties, dedupe });
    } catch (error) {
      if (error instanceof PubSubError && error.code === 'UNAVAILABLE') throw error;
      counters.dropped.will_not_stored++; // it never will be; subscribers get it all the same
      logger.warn({ err: error, clientId }, 'mqtt will not stored');
    }
  }
}

function scopeOf(id: string): string {
  return `will/${id}`;
}
