import type { Link } from './link.ts';
import type { Confirmations } from './mqtt-confirmations.ts';
import { bufferOf } from './mqtt-fields.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { loadScript } from './script.ts';

export interface RetainedOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly confirmations: Confirmations;
  readonly messagesMax: number;
  readonly bytesMax: number;
}

const retain = loadScript('mqtt-retain');

/** The retained messages of all nodes; each of which has a copy, see `View`. */
export class Retained {
  readonly #options: RetainedOptions;

  constructor(options: RetainedOptions) {
    this.#options = options;
  }

  async retain(topic: string, message: Uint8Array | undefined): Promise<boolean> {
    const { link, keys, confirmations, messagesMax, bytesMax } = this.#options;
    const kept = message ? [1, bufferOf(message)] : ['', ''];
    const number = await link.run(
      retain,
      [keys.retained, keys.retainedBytes, keys.retainedAnnounced],
      [keys.channel, topic, ...kept, messagesMax, bytesMax],
      { durable: true },
    );
    if (number === null) return false;
    await confirmations.here('retained', Number(number));
    return true;
  }
}
