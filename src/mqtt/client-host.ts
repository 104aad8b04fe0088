import type { CloseReason } from './counters.ts';
import type { Refusal } from './refusal.ts';

/** The gate, as its client sees it. */
export interface ClientHost {
  /** False while packets are not read, for lack of room. */
  readonly listening: boolean;
  /** There may be room for more packets. */
  resume(): void;
  /** Tells the client why, if its version has a way to, and closes the connection. */
  refuse(refusal: Refusal): void;
  /** The same for whatever went wrong. */
  fail(error: unknown): void;
  close(reason: CloseReason): void;
  /** Closes it without waiting for what the client has not read. */
  abort(reason: CloseReason): void;
}
