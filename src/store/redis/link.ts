import type { Script } from './script.ts';

export type Argument = string | number | Buffer;

/**
 * What the adapter needs of Redis, be it one server or a cluster. Bulk strings come back as Buffers, integers as
 * numbers, nil as null.
 *
 * @throws PubSubError UNAVAILABLE from any call: no answer within the bound, or none that tells the outcome.
 */
export interface Link {
  /** Runs a script where its keys live; loads it there first if that server does not have it. */
  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  /** One command; its first key, or none, is the first argument. */
  command(name: string, ...args: Argument[]): Promise<unknown>;
  /**
   * What scripts take for the time: empty, and they ask the server that runs them (`TIME`); a test's clock otherwise.
   */
  now(): string;
}
