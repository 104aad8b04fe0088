import type { ConnectionRef, KeptSession, MqttStateEvents } from '../../src/store/store.ts';

/** Events of an MQTT state, as a node that keeps everything sees them. */
export interface Listener extends MqttStateEvents {
  readonly sessions: Map<string, KeptSession>; // by session id
  readonly ended: string[];
  readonly replaced: ConnectionRef[];
  readonly queued: string[];
  readonly retained: Map<string, string>;
  /** `<node> <filter>` */
  readonly interests: Set<string>;
  readonly gone: string[];
  readonly forwarded: string[];
  readonly resets: number;
  readonly currents: number;
  onReplaced(connection: ConnectionRef): Promise<void>;
  /** Resolves when it is true, now or after an event. */
  until(isTrue: () => boolean): Promise<void>;
}

export function listener(): Listener {
  return new Recorder();
}

class Recorder implements Listener {
  sessions = new Map<string, KeptSession>();
  retained = new Map<string, string>();
  interests = new Set<string>();
  readonly ended: string[] = [];
  readonly replaced: ConnectionRef[] = [];
  readonly queued: string[] = [];
  readonly gone: string[] = [];
  readonly forwarded: string[] = [];
  resets = 0;
  currents = 0;
  #fresh: { sessions: Set<string>; retained: Set<string>; interests: Set<string> } | undefined;
  readonly #waiting = new Set<() => void>();

  onSession(session: KeptSession): void {
    this.sessions.set(session.sessionId, session);
    this.#fresh?.sessions.add(session.sessionId);
    this.#told();
  }

  onSessionEnded(sessionId: string): void {
    this.sessions.delete(sessionId);
    this.ended.push(sessionId);
    this.#told();
  }

  async onReplaced(connection: ConnectionRef): Promise<void> {
    this.replaced.push(connection);
    this.#told();
  }

  onQueued(sessionId: string): void {
    this.queued.push(sessionId);
    this.#told();
  }

  onRetained(topic: string, message: Uint8Array | undefined): void {
    if (message) this.retained.set(topic, `${Buffer.from(message)}`);
    else this.retained.delete(topic);
    this.#fresh?.retained.add(topic);
    this.#told();
  }

  onInterest(node: string, filter: string, interested: boolean): void {
    if (interested) this.interests.add(`${node} ${filter}`);
    else this.interests.delete(`${node} ${filter}`);
    this.#fresh?.interests.add(`${node} ${filter}`);
    this.#told();
  }

  onNodeGone(node: string): void {
    this.gone.push(node);
    for (const interest of this.interests) if (interest.startsWith(`${node} `)) this.interests.delete(interest);
    this.#told();
  }

  onForwarded(message: Uint8Array): void {
    this.forwarded.push(`${Buffer.from(message)}`);
    this.#told();
  }

  onReset(): void {
    this.resets++;
    this.#fresh = { sessions: new Set(), retained: new Set(), interests: new Set() };
    this.#told();
  }

  onCurrent(): void {
    this.currents++;
    if (this.#fresh) {
      const { sessions, retained, interests } = this.#fresh;
      for (const id of this.sessions.keys()) if (!sessions.has(id)) this.sessions.delete(id);
      for (const topic of this.retained.keys()) if (!retained.has(topic)) this.retained.delete(topic);
      for (const interest of this.interests) if (!interests.has(interest)) this.interests.delete(interest);
      this.#fresh = undefined;
    }
    this.#told();
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  #told(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
