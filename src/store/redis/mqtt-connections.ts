import type { ConnectionRef, SubscriptionChanges } from '../store.ts';
import type { OwnInterests } from './mqtt-interests.ts';

/** A connection of a client to this node. */
export interface OwnConnection extends ConnectionRef {
  readonly sessionId: string;
  /** The session outlives connections, and has a queue. */
  readonly kept: boolean;
  readonly subscriptions: Map<string, unknown>;
  /** Which connection of its session it is; a higher one came later. */
  generation: number;
}

/** The connections that clients have to this node, and what they listen to. */
export class OwnConnections {
  readonly #interests: OwnInterests;
  readonly #byClient = new Map<string, OwnConnection>();
  readonly #bySession = new Map<string, OwnConnection>();

  constructor(interests: OwnInterests) {
    this.#interests = interests;
  }

  [Symbol.iterator](): IterableIterator<OwnConnection> {
    return this.#byClient.values();
  }

  hasSession(sessionId: string): boolean {
    return this.#bySession.has(sessionId);
  }

  get({ clientId, connection }: ConnectionRef): OwnConnection | undefined {
    const known = this.#byClient.get(clientId);
    return known?.connection === connection ? known : undefined;
  }

  /** In place of the client's earlier connection, if that was here. */
  add(connection: OwnConnection): void {
    const earlier = this.#byClient.get(connection.clientId);
    this.#interests.add(connection.subscriptions.keys());
    if (earlier) this.remove(earlier);
    this.#byClient.set(connection.clientId, connection);
    this.#bySession.set(connection.sessionId, connection);
  }

  remove(ref: ConnectionRef): OwnConnection | undefined {
    const connection = this.get(ref);
    if (!connection) return undefined;
    this.#interests.remove(connection.subscriptions.keys());
    this.#byClient.delete(connection.clientId);
    if (this.#bySession.get(connection.sessionId) === connection) this.#bySession.delete(connection.sessionId);
    return connection;
  }

  subscribe(connection: OwnConnection, { added, removed }: SubscriptionChanges): void {
    const { subscriptions } = connection;
    this.#interests.remove(removed.filter((filter) => subscriptions.delete(filter)));
    const isNew = Object.keys(added).filter((filter) => !subscriptions.has(filter));
    this.#interests.add(isNew);
    for (const [filter, subscription] of Object.entries(added)) subscriptions.set(filter, subscription);
  }
}
