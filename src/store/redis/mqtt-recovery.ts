import type { Beats } from './mqtt-beats.ts';
import type { Clients } from './mqtt-clients.ts';
import type { OwnConnection, OwnConnections } from './mqtt-connections.ts';
import type { OwnInterests } from './mqtt-interests.ts';
import type { Queues } from './mqtt-queues.ts';
import type { Takeovers } from './mqtt-takeovers.ts';

export interface RecoveryOptions {
  readonly beats: Beats;
  readonly clients: Clients;
  readonly queues: Queues;
  readonly interests: OwnInterests;
  readonly takeovers: Takeovers;
  readonly connections: OwnConnections;
  readonly node: string;
  readonly onQueued: (sessionId: string) => void;
}

/** Clients asked for at a time. */
const clientsPerPage = 500;

/**
 * After this node was declared dead, or heard nothing for a while: joins if it has to, and asks for each client that is
 * connected here. One that another node has by now, or whose session has ended, counts as replaced; any other is this
 * node's (again), and whatever came into its queue meanwhile is looked for.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  #running: Promise<void> | undefined;
  #isOwed = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Never throws: what fails is done by `resume`. */
  recover(): Promise<void> {
    this.#isOwed = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** To be called about every second. */
  async resume(): Promise<void> {
    if (this.#isOwed) await this.recover();
  }

  async #run(): Promise<void> {
    try {
      while (this.#isOwed) {
        this.#isOwed = false;
        await this.#recover();
      }
    } catch {
      this.#isOwed = true;
    }
  }

  async #recover(): Promise<void> {
    const { beats, connections, interests } = this.#options;
    const beat = await beats.beat(true);
    if (beat?.joined) interests.forgotten();
    await interests.tell();
    const own = [...connections];
    for (let at = 0; at < own.length; at += clientsPerPage) {
      await Promise.all(own.slice(at, at + clientsPerPage).map((connection) => this.#reclaim(connection)));
    }
  }

  async #reclaim(connection: OwnConnection): Promise<void> {
    const { clients, queues, connections, takeovers, node, onQueued } = this.#options;
    if (connections.get(connection) !== connection) return; // gone meanwhile
    const generation = await clients.reclaim(connection);
    if (generation === 0)
      this.#isOwed = true; // declared dead again
    else if (generation === undefined) void takeovers.end(connection).then(() => connections.remove(connection));
    else if (connection.kept) {
      if (generation !== connection.generation) await queues.attach(connection.sessionId, node, generation, 0);
      connection.generation = generation;
      onQueued(connection.sessionId);
    }
  }
}
