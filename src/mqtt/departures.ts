import type { ConnectionRef, Departure, MqttState } from '../store/store.ts';
import type { Wills } from './wills.ts';

interface Leaving {
  readonly connection: ConnectionRef;
  readonly departure: Departure;
}

/** Departures told at a time after an outage; one by one, thousands would take longer than a node may be silent. */
const tellingMax = 32;

/**
 * Tells the state of connections that are over, and publishes their wills. What cannot be told at once is told again by
 * every sweep: to the state such a client is still connected, which matters until it connects again.
 */
export class Departures {
  readonly #state: MqttState;
  readonly #wills: Wills;
  readonly #untold = new Map<string, Leaving>();
  readonly #untoldMax: number;

  constructor(state: MqttState, wills: Wills, untoldMax: number) {
    this.#state = state;
    this.#wills = wills;
    this.#untoldMax = untoldMax;
  }

  get untold(): number {
    return this.#untold.size;
  }

  /** Never rejects. */
  async tell(connection: ConnectionRef, departure: Departure): Promise<void> {
    try {
      const will = await this.#state.disconnect(connection, departure);
      this.#untold.delete(connection.connection);
      if (will) this.#wills.publish(will);
    } catch {
      // Past the bound the oldest is left to the end of this node: it then counts as disconnected.
      if (this.#untold.size >= this.#untoldMax) this.#untold.delete(this.#untold.keys().next().value!);
      this.#untold.set(connection.connection, { connection, departure });
    }
  }

  async tellAgain(): Promise<void> {
    const untold = [...this.#untold.values()];
    const next = async () => {
      for (let leaving = untold.pop(); leaving; leaving = untold.pop()) {
        await this.tell(leaving.connection, leaving.departure);
      }
    };
    await Promise.all(Array.from({ length: tellingMax }, next));
  }
}
