import type { ConnectionRef } from '../store.ts';
import type { Link } from './link.ts';
import type { Claim } from './mqtt-clients.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import type { Mail } from './mqtt-mail.ts';

export interface TakeoversOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly mail: Mail;
  readonly node: string;
  readonly takeoverMs: number;
  /** Resolves when everything of it is over. */
  readonly onReplaced: (connection: ConnectionRef) => Promise<void>;
}

interface Wait {
  /** Which node has the earlier connection; known once the client is claimed. */
  node: string | undefined;
  readonly over: Promise<void>;
  readonly end: () => void;
}

/**
 * One connection of a client replaces another, here or on another node. The script that made it so has told the other
 * node (`replaced`); that ends its connection and writes back `over`, with the name of the new connection, which waits:
 * for that, for the end of the node, or for `takeoverMs`. The earlier connection can change nothing any more in any case;
 * the wait is for what it has under way.
 */
export class Takeovers {
  readonly #options: TakeoversOptions;
  readonly #waits = new Map<string, Wait>();
  readonly #connecting = new Map<string, Promise<unknown>>();
  takeovers = 0;
  timeouts = 0;

  constructor(options: TakeoversOptions) {
    this.#options = options;
  }

  /**
   * Claims a client and waits for its earlier connection. `over` may come before the claim is known to have succeeded.
   * Should the new connection be replaced meanwhile, the next one waits for both.
   */
  async during<T>(ref: ConnectionRef, claiming: (earlierIsOver: EarlierIsOver) => Promise<T>): Promise<T> {
    const { promise: over, resolve: end } = promise();
    const wait: Wait = { node: undefined, over, end };
    this.#waits.set(ref.connection, wait);
    const connecting = claiming((claim) => this.#earlierIsOver(ref.clientId, claim, wait));
    this.#connecting.set(ref.connection, connecting);
    try {
      return await connecting;
    } finally {
      this.#waits.delete(ref.connection);
      this.#connecting.delete(ref.connection);
    }
  }

  /** Another node says that the connection before this one has ended. */
  over(connection: string): void {
    this.#waits.get(connection)?.end();
  }

  nodeGone(node: string): void {
    for (const wait of this.#waits.values()) if (wait.node === node) wait.end();
  }

  /** Another node's connection has this client now. */
  async replaced(ref: ConnectionRef, by: { readonly node: string; readonly connection: string }): Promise<void> {
    await this.end(ref);
    this.#options.mail.post(by.node, 'over', by.connection);
  }

  /** Ends a connection to this node. Never throws. */
  async end(ref: ConnectionRef): Promise<void> {
    await Promise.allSettled([this.#options.onReplaced(ref), this.#connecting.get(ref.connection)]);
  }

  async #earlierIsOver(clientId: string, { earlier }: Claim, wait: Wait): Promise<void> {
    if (!earlier) return;
    if (earlier.node === this.#options.node) {
      void this.end({ clientId, connection: earlier.connection }).then(wait.end);
    } else {
      this.takeovers++;
      if (!earlier.isAlive) return;
      wait.node = earlier.node;
      void this.#endIfDeaf(earlier.node, wait);
    }
    await this.#bounded(wait);
  }

  /** Nobody waits for a node that was killed a moment ago: Redis knows that it does not listen any more. */
  async #endIfDeaf(node: string, wait: Wait): Promise<void> {
    const { link, keys } = this.#options;
    try {
      const replies = (await link.onEachServer('PUBSUB', 'NUMSUB', keys.channelOf(node))) as [Buffer, number][];
      if (replies.every(([, listeners]) => listeners === 0)) wait.end();
    } catch {
      // The bound holds.
    }
  }

  async #bounded({ over, end }: Wait): Promise<void> {
    const timer = setTimeout(() => {
      this.timeouts++;
      end();
    }, this.#options.takeoverMs);
    await over;
    clearTimeout(timer);
  }
}

export type EarlierIsOver = (claim: Claim) => Promise<void>;

function promise(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  return { promise: new Promise<void>((settle) => (resolve = settle)), resolve: () => resolve() };
}
