import type { Link } from './link.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { loadScript } from './script.ts';

export interface OwnInterestsOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly node: string;
}

const interest = loadScript('mqtt-interest');

/** Changes that one call of the script takes. */
const changesPerCall = 500;

/**
 * The filters that clients of this node have, told to the others as they come and go: once, however many clients have
 * one. Changes that come while others are on their way wait for each other; of one filter only the last is sent.
 */
export class OwnInterests {
  readonly #options: OwnInterestsOptions;
  /** Filter → how many connections here have it. */
  readonly #counts = new Map<string, number>();
  /** Filters that came or went since they were last told. */
  readonly #changed = new Set<string>();
  #telling: Promise<number> | undefined;
  #next: Promise<number> | undefined;

  constructor(options: OwnInterestsOptions) {
    this.#options = options;
  }

  add(filters: Iterable<string>): void {
    for (const filter of filters) {
      const count = this.#counts.get(filter) ?? 0;
      this.#counts.set(filter, count + 1);
      if (count === 0) this.#changed.add(filter);
    }
  }

  remove(filters: Iterable<string>): void {
    for (const filter of filters) {
      const count = this.#counts.get(filter) ?? 0;
      if (count > 1) this.#counts.set(filter, count - 1);
      else if (this.#counts.delete(filter)) this.#changed.add(filter);
    }
  }

  /** The others have forgotten them. */
  forgotten(): void {
    for (const filter of this.#counts.keys()) this.#changed.add(filter);
  }

  /**
   * Tells what has changed; resolves when it, and what is being told, is in the store.
   * @returns number of the last announcement; 0: there was nothing to tell, or this node counts as dead and will tell
   *   everything when it has joined again
   * @throws Unavailable it is told with the next call
   */
  async tell(): Promise<number> {
    if (this.#changed.size === 0) return this.#telling ?? 0;
    this.#next ??= (this.#telling ?? Promise.resolve(0)).catch(() => 0).then(() => this.#turn());
    return this.#next;
  }

  #turn(): Promise<number> {
    this.#next = undefined;
    const filters = [...this.#changed];
    this.#changed.clear();
    this.#telling = this.#tell(filters).finally(() => {
      this.#telling = undefined;
    });
    return this.#telling;
  }

  async #tell(filters: readonly string[]): Promise<number> {
    let number = 0;
    for (let at = 0; at < filters.length; at += changesPerCall) {
      try {
        number = await this.#send(filters.slice(at, at + changesPerCall));
      } catch (error) {
        for (const filter of filters.slice(at)) this.#changed.add(filter);
        throw error;
      }
    }
    return number;
  }

  async #send(filters: readonly string[]): Promise<number> {
    const { link, keys, node } = this.#options;
    const changes = filters.map((filter) => (this.#counts.has(filter) ? `+${filter}` : `-${filter}`));
    const announced = await link.run(
      interest,
      [keys.interests, keys.nodes, keys.announced],
      [keys.channel, node, ...changes],
      { durable: true },
    );
    return Number(announced ?? 0);
  }
}
