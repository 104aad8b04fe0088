import type { Appended, LogRef } from '../store.ts';
import { type Deduped, type Environment, staged, under } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';

/**
 * The keys under which a repeated append is recognised (I6). A key is written in the transaction of its append; one that
 * is still on its way to the disk is found in `#inFlight`.
 */
export class Dedupe {
  readonly #env: Environment;
  readonly #commit: GroupCommit;
  readonly #inFlight = new Map<string, Promise<Appended>>();
  /** Whether any key may be on disk, so that looking for old ones usually costs nothing. */
  #mayHold: boolean;

  constructor(env: Environment, commit: GroupCommit) {
    this.#env = env;
    this.#commit = commit;
    this.#mayHold = env.dedupe.getKeysCount({ limit: 1 }) > 0;
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
      () => {
        this.#mayHold = true;
      },
      () => undefined,
    );
    return appended;
  }

  async forget(log: LogRef | undefined, keys: readonly string[]): Promise<void> {
    await this.#commit.exec(() => {
      for (const key of keys) {
        if (log) staged(this.#env.dedupe.remove([key, log.topicId, log.partition]));
        else this.#stageForgetEverywhere(key);
      }
    });
  }

  #stageForgetEverywhere(key: string): void {
    const range = under<[string, string, number]>([key]);
    for (const found of this.#env.dedupe.getKeys(range)) staged(this.#env.dedupe.remove(found));
  }

  /** The topic's logs are gone; to be called while a commit is assembled. */
  stageForgetTopic(topicId: string): void {
    for (const key of this.#env.dedupe.getKeys({})) if (key[1] === topicId) staged(this.#env.dedupe.remove(key));
  }

  async forgetBefore(log: LogRef, beforeMs: number): Promise<void> {
    if (!this.#mayHold) return;
    await this.#commit.exec(() => {
      this.#mayHold = false; // an append of this very commit sets it again when that is on disk
      for (const { key, value } of this.#env.dedupe.getRange({})) {
        if (isOld(key, value, log, beforeMs)) staged(this.#env.dedupe.remove(key));
        else this.#mayHold = true;
      }
    });
  }
}

function isOld(key: [string, string, number], value: Deduped, log: LogRef, beforeMs: number): boolean {
  return key[1] === log.topicId && key[2] === log.partition && value.writtenMs < beforeMs;
}
