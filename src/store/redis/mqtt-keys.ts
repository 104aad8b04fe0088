/**
 * Names of keys and channels of what MQTT servers share. Who is connected where, sessions and wills change together, so
 * they share one hash tag, and on a cluster one server has them: it works for connects and subscribes, not for
 * messages. Retained messages have a tag of their own, and so has the queue of each session.
 */
export class MqttKeys {
  readonly #prefix: string;

  /** @param prefix without braces; sets deployments on one Redis apart. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The first keys of scripts that change one client, in the order of `mqtt-client.lua`. */
  client(clientId: string): string[] {
    const keys = [this.sessions, this.#shared('wills'), this.due, this.connected, this.taken, this.ended, this.nodes];
    return [this.#shared(`client:${clientId}`), ...keys, this.announced];
  }

  get sessions(): string {
    return this.#shared('sessions');
  }

  get due(): string {
    return this.#shared('due');
  }

  get connected(): string {
    return this.#shared('connected');
  }

  get taken(): string {
    return this.#shared('taken');
  }

  get ended(): string {
    return this.#shared('ended');
  }

  get nodes(): string {
    return this.#shared('nodes');
  }

  get steady(): string {
    return this.#shared('steady');
  }

  get interests(): string {
    return this.#shared('interests');
  }

  get announced(): string {
    return this.#shared('announced');
  }

  get retained(): string {
    return this.#retained('messages');
  }

  get retainedBytes(): string {
    return this.#retained('bytes');
  }

  get retainedAnnounced(): string {
    return this.#retained('announced');
  }

  /** In the order of `mqtt-queue.lua`. */
  queue(sessionId: string): string[] {
    const tag = `${this.#prefix}{mqtt:${sessionId}}:`;
    return [`${tag}queue`, `${tag}messages`, `${tag}received`];
  }

  /** What every node has to know. */
  get channel(): string {
    return `${this.#prefix}mqtt`;
  }

  /** What one node has to know. */
  channelOf(node: string): string {
    return `${this.#prefix}mqtt:node:${node}`;
  }

  #shared(what: string): string {
    return `${this.#prefix}{mqtt}:${what}`;
  }

  #retained(what: string): string {
    return `${this.#prefix}{mqtt:retained}:${what}`;
  }
}
