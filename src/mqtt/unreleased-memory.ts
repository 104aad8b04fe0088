import type { UnreleasedIds } from './unreleased-ids.ts';

interface Remembered {
  readonly connection: string;
  readonly ids: UnreleasedIds;
}

/**
 * The unreleased packet ids of kept sessions, between two connections to this node. They count as long as the session
 * has not been with another node meanwhile: the last connection was ours. Bounded; of a session that was forgotten the
 * store still knows what it stored.
 */
export class UnreleasedMemory {
  readonly #bySession = new Map<string, Remembered>();
  readonly #sessionsMax: number;

  constructor(sessionsMax: number) {
    this.#sessionsMax = sessionsMax;
  }

  keep(sessionId: string, connection: string, ids: UnreleasedIds): void {
    this.#bySession.delete(sessionId);
    if (this.#bySession.size >= this.#sessionsMax) this.forget(this.#bySession.keys().next().value!);
    this.#bySession.set(sessionId, { connection, ids });
  }

  /** @param previous the session's last connection. @returns undefined: another node may know more. */
  take(sessionId: string, previous: string | undefined): UnreleasedIds | undefined {
    const remembered = this.#bySession.get(sessionId);
    this.forget(sessionId);
    return remembered && remembered.connection === previous ? remembered.ids : undefined;
  }

  forget(sessionId: string): void {
    this.#bySession.delete(sessionId);
  }
}
