import type { ByteBudget } from './byte-budget.ts';
import { publishOverheadBytes } from './limits.ts';
import type { Publish } from './publish-packet.ts';

export interface WindowLimits {
  readonly inflightMax: number;
  readonly inflightBytesMax: number;
}

/** What one connection has in flight, from a packet's arrival until nothing has to be done for it any more (I8). */
export class Window {
  readonly #limits: WindowLimits;
  readonly #all: ByteBudget; // of all connections together
  readonly #resume: () => void;
  #bytes = 0;

  constructor(limits: WindowLimits, all: ByteBudget, resume: () => void) {
    this.#limits = limits;
    this.#all = all;
    this.#resume = resume;
  }

  /** Nothing more may be taken until `resume` is called. @param queued packets that wait for their acknowledgement. */
  full(queued: number): boolean {
    if (queued >= this.#limits.inflightMax || this.#bytes >= this.#limits.inflightBytesMax) return true;
    if (queued === 0 || !this.#all.spent) return false;
    this.#all.whenRoom(this.#resume);
    return true;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    this.#all.take(bytes);
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    this.#all.give(bytes);
  }

  /** The connection is gone: it needs no room any more. What it has in flight still counts. */
  close(): void {
    this.#all.forget(this.#resume);
  }
}

/** Its bytes, and what it costs beside them. */
export function costOf({ payload, topic }: Publish): number {
  return payload.length + topic.length + publishOverheadBytes;
}
