import type { Channels } from './link.ts';

type Listener = (name: string | undefined) => void;

/**
 * Who wants to hear that a name was created, changed or deleted. What this node changes is told at once; what others
 * change comes over the channel, as the changing node's id and the names, a line each.
 */
export class CatalogChanges {
  readonly #node: string;
  readonly #listeners = new Set<Listener>();
  readonly #heard: Promise<void>;

  constructor(channels: Channels, channel: string, node: string) {
    this.#node = node;
    this.#heard = new Promise((resolve) => {
      let first = true;
      channels.subscribe(channel, (message) => {
        if (message) this.#received(message.toString());
        else if (!first) this.tell([undefined]);
        first = false;
        resolve();
      });
    });
  }

  /** Resolves when changes of other nodes are heard for the first time. */
  heard(): Promise<void> {
    return this.#heard;
  }

  listen(listener: Listener): () => void {
    const own: Listener = (name) => listener(name);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  tell(names: readonly (string | undefined)[]): void {
    for (const name of names) for (const listener of [...this.#listeners]) listener(name);
  }

  #received(message: string): void {
    const [node, ...names] = message.split('\n');
    if (node !== this.#node) this.tell(names);
  }
}
