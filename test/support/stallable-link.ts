import { type Argument, type Channels, type Link, type RunOptions, Unavailable } from '../../src/store/redis/link.ts';
import type { Script } from '../../src/store/redis/script.ts';

type Told = (message: Buffer | undefined) => void;

/**
 * A link of a process that can be stopped for a while (SIGSTOP, a long garbage collection): nothing goes out or comes in.
 * It can also lose answers: what was asked for is done, and nobody learns of it.
 */
export class StallableLink implements Link, Channels {
  readonly #link: Link & Channels;
  /** Names of scripts whose answers get lost. */
  readonly losesAnswersTo = new Set<string>();
  #stalled: { readonly over: Promise<void>; readonly end: () => void } | undefined;

  constructor(link: Link & Channels) {
    this.#link = link;
  }

  stall(): void {
    let end = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#stalled = { over, end };
  }

  /** What was kept back goes on, in its order. */
  resume(): void {
    this.#stalled?.end();
    this.#stalled = undefined;
  }

  async run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    options?: RunOptions,
  ): Promise<unknown> {
    await this.#stalled?.over;
    const answer = await this.#link.run(script, keys, args, options);
    if (this.losesAnswersTo.has(script.name)) throw new Unavailable('The answer was lost.', true);
    return answer;
  }

  async command(name: string, ...args: Argument[]): Promise<unknown> {
    await this.#stalled?.over;
    return this.#link.command(name, ...args);
  }

  async onEachServer(name: string, ...args: Argument[]): Promise<readonly unknown[]> {
    await this.#stalled?.over;
    return this.#link.onEachServer(name, ...args);
  }

  async publish(channel: string, message: Argument): Promise<void> {
    await this.#stalled?.over;
    await this.#link.publish(channel, message);
  }

  subscribe(channel: string, listener: Told): () => void {
    return this.#link.subscribe(channel, (message) => {
      if (this.#stalled) void this.#stalled.over.then(() => listener(message));
      else listener(message);
    });
  }

  hears(channel: string): boolean {
    return this.#link.hears(channel);
  }

  onConnect(connected: () => void): () => void {
    return this.#link.onConnect(connected);
  }

  now(): string {
    return this.#link.now();
  }
}
