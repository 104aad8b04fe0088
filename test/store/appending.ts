import { PubSubError } from '../../src/domain/errors.ts';
import type { LogRef, Store } from '../../src/store/store.ts';

/**
 * Appends to a log from several sides at once, each one message after the other as a device does: a message that was
 * not acknowledged is sent again before the next.
 */
export class Appending {
  readonly #store: Store;
  readonly #logs: readonly LogRef[];
  readonly #sides: Promise<void>[];
  #stopping = false;
  #broken: unknown;
  /** What was acknowledged, by side, in order. */
  readonly acknowledged: string[][];
  failures = 0;

  constructor(store: Store, logs: readonly LogRef[], sides: number) {
    this.#store = store;
    this.#logs = logs;
    this.acknowledged = Array.from({ length: sides }, () => []);
    this.#sides = this.acknowledged.map((acknowledged, side) =>
      this.#run(side, acknowledged).catch((error: unknown) => {
        this.#broken ??= error;
      }),
    );
  }

  get count(): number {
    return this.acknowledged.reduce((sum, { length }) => sum + length, 0);
  }

  /** Resolves when so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const until = this.count + count;
    while (this.count < until) {
      if (this.#broken) throw this.#broken;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Resolves when the last message of each side is acknowledged. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#sides);
    if (this.#broken) throw this.#broken;
  }

  /** What is wrong with the logs' content, given that nothing was lost, doubled by the store, or out of order. */
  faults(contents: readonly (readonly string[])[]): string[] {
    return this.acknowledged.flatMap((acknowledged, side) => {
      const content = contents[side % contents.length]!;
      const stored = content.filter((text) => text.startsWith(`${side}-`));
      const firsts = [...new Set(stored.map((text) => text.split('#')[0]!))];
      const lost = acknowledged.filter((text) => !content.includes(text)).map((text) => `lost ${text}`);
      const doubled = stored.filter((text, at) => stored.indexOf(text) !== at).map((text) => `doubled ${text}`);
      const inOrder = firsts.every((text, at) => text === `${side}-${at}`);
      return [...lost, ...doubled, ...(inOrder ? [] : [`side ${side} is out of order`])];
    });
  }

  async #run(side: number, acknowledged: string[]): Promise<void> {
    const log = this.#logs[side % this.#logs.length]!;
    for (let number = 0; !this.#stopping; number++) {
      for (let attempt = 1; ; attempt++) {
        const text = `${side}-${number}#${attempt}`;
        if (await this.#append(log, text)) {
          acknowledged.push(text);
          break;
        }
      }
    }
  }

  async #append(log: LogRef, text: string): Promise<boolean> {
    try {
      await this.#store.append(log, [Buffer.from(text)]);
      return true;
    } catch (error) {
      if (!(error instanceof PubSubError && error.code === 'UNAVAILABLE')) throw error;
      this.failures++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return false;
    }
  }
}
