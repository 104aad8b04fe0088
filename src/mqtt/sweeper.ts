import type { MqttState } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Departures } from './departures.ts';
import type { Wills } from './wills.ts';

export interface SweeperOptions {
  readonly state: MqttState;
  readonly departures: Departures;
  readonly wills: Wills;
  readonly logger: Logger;
  readonly sweepMs: number;
}

/** As many wills come from one sweep as the state likes; a node that died may have left many. */
const sweepsInARow = 100;

/** Does again and again what only time brings about; one round at a time. */
export class Sweeper {
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #closed = false;
  #failing = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.sweep().then(() => this.start()), this.#options.sweepMs).unref();
  }

  /** Never rejects: what failed is tried again by the next round. */
  sweep(): Promise<void> {
    this.#round ??= this.#sweep().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  async #sweep(): Promise<void> {
    const { departures, wills, logger } = this.#options;
    try {
      await this.#takeWills(); // first: it says that this node lives
      wills.publishAgain();
      await departures.tellAgain();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) logger.warn({ error: String(error) }, 'mqtt sessions and wills cannot be looked after');
      this.#failing = true;
    }
  }

  async #takeWills(): Promise<void> {
    const { state, wills } = this.#options;
    for (let round = 0; round < sweepsInARow; round++) {
      const taken = await state.sweep();
      for (const will of taken) wills.publish(will);
      if (taken.length === 0) return;
      await wills.idle();
    }
  }
}
