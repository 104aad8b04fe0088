import type { Server } from './server.ts';

/** Who has which slot. */
export interface Servers {
  /** Undefined: not known at the moment. */
  of(slot: number): Server | undefined;
  /** The server at `host:port`, as a redirection names it. @param from who redirected: an empty host is its own */
  at(address: string, from: Server): Server;
  /** A server said that another has the slot now. */
  moved(slot: number, server: Server): void;
  /** Asks anew who has what. Never throws. */
  refresh(): Promise<void>;
  /** Why nobody is known. */
  readonly problem: string;
  /** All that take writes. */
  all(): readonly Server[];
  close(): void;
}

/** One server, or the one that sentinels name: it has all slots. */
export class OneServer implements Servers {
  readonly problem = '';
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  of(): Server {
    return this.#server;
  }

  at(): Server {
    return this.#server;
  }

  moved(): void {}

  refresh(): Promise<void> {
    return Promise.resolve();
  }

  all(): readonly Server[] {
    return [this.#server];
  }

  close(): void {
    this.#server.close();
  }
}
