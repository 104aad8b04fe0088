import type { Address } from './redis-url.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';
import { slotCount } from './slot.ts';

/** Who has which slot is asked at most so often. */
const refreshEveryMs = 100;
/** How long a server that the URL names may take to connect, when no other is known. */
const seedMs = 500;

/**
 * The masters of a cluster, and which slots each has: learned from `CLUSTER SLOTS` and corrected by every `MOVED`. Asked
 * again whenever a master cannot be reached: after a failover another one has its slots.
 */
export class Cluster implements Servers {
  readonly #seeds: readonly Address[];
  readonly #open: (address: Address) => Server;
  readonly #servers = new Map<string, Server>();
  readonly #addresses: (string | undefined)[] = new Array(slotCount);
  #refreshing: Promise<void> | undefined;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  problem = 'no master has answered yet';

  constructor(seeds: readonly Address[], open: (address: Address) => Server) {
    this.#seeds = seeds;
    this.#open = open;
  }

  of(slot: number): Server | undefined {
    const address = this.#addresses[slot];
    return address === undefined ? undefined : this.#servers.get(address);
  }

  at(address: string, from: Server): Server {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon) || from.name.slice(0, from.name.lastIndexOf(':'));
    return this.#server({ host, port: Number(address.slice(colon + 1)) });
  }

  moved(slot: number, server: Server): void {
    this.#addresses[slot] = server.name;
    void this.refresh();
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  all(): readonly Server[] {
    return [...this.#servers.values()];
  }

  close(): void {
    this.#closed = true;
    for (const server of this.#servers.values()) server.close();
  }

  async #refresh(): Promise<void> {
    if (performance.now() - this.#refreshedMs < refreshEveryMs) return;
    this.#refreshedMs = performance.now();
    for (const server of shuffled(this.all())) if (server.wire.isUp && (await this.#ask(server))) return;
    for (const address of shuffled(this.#seeds)) {
      if (this.#closed) return;
      const seed = this.#server(address);
      await seed.wire.upWithin(seedMs);
      if (await this.#ask(seed)) return;
    }
  }

  async #ask(server: Server): Promise<boolean> {
    try {
      return this.#learn((await server.wire.call('CLUSTER', ['SLOTS'])) as SlotRange[], server);
    } catch (error) {
      this.problem = (error as Error).message;
      return false;
    }
  }

  /** Takes the answer over; not one that knows no slot, from a server that was thrown out of the cluster. */
  #learn(ranges: readonly SlotRange[], from: Server): boolean {
    if (this.#closed || ranges.length === 0) return false;
    this.#addresses.fill(undefined);
    for (const [start, end, [host, port]] of ranges) {
      const server = this.at(`${host ?? ''}:${port}`, from);
      this.#addresses.fill(server.name, start, end + 1);
    }
    const masters = new Set(this.#addresses);
    for (const [address, server] of this.#servers) {
      if (masters.has(address)) continue;
      this.#servers.delete(address);
      server.close();
    }
    return true;
  }

  #server(address: Address): Server {
    const name = `${address.host}:${address.port}`;
    const known = this.#servers.get(name);
    if (known) return known;
    const server = this.#open(address);
    this.#servers.set(name, server);
    return server;
  }
}

/** As `CLUSTER SLOTS` answers; the first server is the master, an empty host means the one that was asked. */
type SlotRange = readonly [start: number, end: number, master: readonly [host: Buffer | null, port: number]];

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
