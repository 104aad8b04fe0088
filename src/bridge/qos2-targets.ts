import { PubSubError } from '../domain/errors.ts';
import type { Publish } from '../pubsub/pubsub.ts';
import type { Target } from './target.ts';

export interface Qos2TargetsOptions {
  /** Sessions at a time; past it the one that came first is forgotten. */
  readonly scopesMax?: number;
  /** Packet ids of one session at a time; past it the id that came first is forgotten. */
  readonly idsPerScopeMax?: number;
}

/** The same for every topic that a message goes to, so that it can be told without knowing them. */
export function dedupeKey(scope: string, packetId: number): string {
  return `${scope}/${packetId}`;
}

/** Lets a key go wherever it was used. A topic that is gone took it along: one made anew has another log. */
export async function forgetAt(publisher: Publish, key: string, targets: readonly Target[]): Promise<void> {
  const gone = (error: unknown) => {
    if (!(error instanceof PubSubError) || error.code !== 'NOT_FOUND') throw error;
  };
  await Promise.all(targets.map((target) => publisher.forget(key, target).catch(gone)));
}

/**
 * Where the messages of QoS 2 packet ids went that have not been released by a PUBREL. Only a shortcut: for an id that
 * was forgotten here, or that stems from before a restart, the store looks through all its logs.
 */
export class Qos2Targets {
  readonly #scopes = new Map<string, Map<number, readonly Target[]>>();
  readonly #scopesMax: number;
  readonly #idsPerScopeMax: number;
  #forgotten = 0;

  constructor(options: Qos2TargetsOptions = {}) {
    this.#scopesMax = options.scopesMax ?? 10_000;
    this.#idsPerScopeMax = options.idsPerScopeMax ?? 1000;
  }

  /** Ids dropped at one of the two bounds. */
  get forgotten(): number {
    return this.#forgotten;
  }

  note(scope: string, packetId: number, targets: readonly Target[]): void {
    const ids = this.#scopes.get(scope) ?? this.#openScope(scope);
    if (ids.size >= this.#idsPerScopeMax && !ids.has(packetId)) {
      ids.delete(ids.keys().next().value!);
      this.#forgotten++;
    }
    ids.set(packetId, targets);
  }

  take(scope: string, packetId: number): readonly Target[] | undefined {
    const ids = this.#scopes.get(scope);
    const targets = ids?.get(packetId);
    ids?.delete(packetId);
    if (ids?.size === 0) this.#scopes.delete(scope);
    return targets;
  }

  #openScope(scope: string): Map<number, readonly Target[]> {
    if (this.#scopes.size >= this.#scopesMax) {
      const [oldest, ids] = this.#scopes.entries().next().value!;
      this.#scopes.delete(oldest);
      this.#forgotten += ids.size;
    }
    const ids = new Map<number, readonly Target[]>();
    this.#scopes.set(scope, ids);
    return ids;
  }
}
