import type { Appended, LogRef } from '../store.ts';
import { type Deduped, type Environment, staged } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';

/**
 * The keys under which a repeated append is recognised (I6). A key is written in the transaction of its append; one that
 * is still on its way to the disk is found in `#inFlight`.
 */
export class Dedupe {
  readonly #env: Environment;
  readonly #commit: GroupCommit;
  readonly #inFlight = new Map<string, Promise<Appended>>();
  /** Keys on disk, so that the usual "there are none" costs nothing. */
  #count: number;

  constructor(env: Environment, commit: GroupCommit) {
    this.#env = env;
    this.#commit = commit;
    this.#count = env.dedupe.getKeysCount();
  }

  /** Runs `append` unless the key is known; the first one's result then comes back as a duplicate. */
  once(log: LogRef, key: string, append: () => Promise<Appended>): Promise<Appended> {
    const id = `${log.topicId}/${log.partition}/${key}`;
    const first = this.#inFlight.get(id);
    if (first) return first.then((appended) => ({ ...appended, duplicate: true }));
    const known = this.#env.dedupe.get([key, log.topicId, log.partition]);
    if (known) {
      return Promise.resolve({ firstOffset: known.firstOffset, publishMs: known.publishMs, duplicate: true });
    }
    const appended = append().finally(() => this.#inFlight.delete(id));
    this.#inFlight.set(id, appended);
    appended.then(
      () => this.#count++,
      () => undefined,
    );
    return appended;
  }

  async forget(log: LogRef | undefined, keys: readonly string[]): Promise<void> {
    await this.#commit.exec(() => {
      for (const key of keys) {
        if (log) this.#remove([key, log.topicId, log.partition]);
        else for (const found of this.#env.dedupe.getKeys({ start: [key], end: [key, '\uffff'] })) this.#remove(found);
      }
    });
  }

  async forgetBefore(log: LogRef, beforeMs: number): Promise<void> {
    if (this.#count === 0) return;
    await this.#commit.exec(() => {
      for (const { key, value } of this.#env.dedupe.getRange({})) {
        if (isOld(key, value, log, beforeMs)) this.#remove(key);
      }
    });
  }

  #remove(key: [string, string, number]): void {
    staged(this.#env.dedupe.remove(key));
    this.#count = Math.max(0, this.#count - 1);
  }
}

function isOld(key: [string, string, number], value: Deduped, log: LogRef, beforeMs: number): boolean {
  return key[1] === log.topicId && key[2] === log.partition && value.writtenMs < beforeMs;
}
