import { PubSubError } from '../../domain/errors.ts';
import type { Script } from './script.ts';

export type Argument = string | number | Buffer;

/**
 * What the adapter needs of Redis, be it one server or a cluster. Bulk strings and statuses come back as Buffers,
 * integers as numbers, nil as null. Nothing is ever sent twice by itself, except what a server refused to run (`MOVED`,
 * `ASK`, `NOSCRIPT`) and what could not be sent yet.
 *
 * @throws Unavailable from any call: no answer within the bound, none that tells the outcome, or a refusal that only
 *   the operator of Redis can lift.
 */
export interface Link {
  /** Runs a script where its keys live; loads it there first if that server does not have it. */
  run(script: Script, keys: readonly string[], args: readonly Argument[], options?: RunOptions): Promise<unknown>;
  /** One command; its first key, or none, is the first argument. */
  command(name: string, ...args: Argument[]): Promise<unknown>;
  /** The same command on every server that takes writes; one answer each. */
  onEachServer(name: string, ...args: Argument[]): Promise<readonly unknown[]>;
  /** Calls back whenever a connection to a server was made or made again. Returns the way to stop. */
  onConnect(connected: () => void): () => void;
  /**
   * What scripts take for the time: empty, and they ask the server that runs them (`TIME`); a test's clock otherwise.
   */
  now(): string;
}

export interface RunOptions {
  /**
   * Answers only once as many replicas have it as the store was opened with (`waitReplicas`, `waitAof`). A script that
   * finds its work done already has to write something all the same (`PEXPIRE`): replicas are asked about the last
   * write of this connection.
   */
  readonly durable?: boolean;
}

/** Redis pub/sub. What is published while nobody is connected is lost; listeners are told that they may have missed it. */
export interface Channels {
  /**
   * @param listener gets each message; undefined: the connection was just made, made again, or lost, so anything may have
   *   been missed. Must not throw. Returns the way to stop.
   */
  subscribe(channel: string, listener: (message: Buffer | undefined) => void): () => void;
  /** Best effort: who is not connected does not hear it. @throws Unavailable */
  publish(channel: string, message: Argument): Promise<void>;
  /** Whether the subscription is confirmed and the connection answers: nothing is being missed. */
  hears(channel: string): boolean;
}

/** Redis did not do it, or did not say whether it did. */
export class Unavailable extends PubSubError {
  /** Whether asking again soon may help: a connection, a failover; not a full memory. */
  readonly transient: boolean;

  constructor(message: string, transient: boolean, options?: ErrorOptions) {
    super('UNAVAILABLE', message, options);
    this.transient = transient;
  }
}

/** The store was closed. */
export function stopping(): Unavailable {
  return new Unavailable('Headwater is stopping; try again in a moment.', false);
}
