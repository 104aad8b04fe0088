import { PubSubError } from '../../domain/errors.ts';

/** Something that takes part in the next commit. */
export interface CommitPart {
  /** Writes its puts; called synchronously while the transaction is assembled. */
  stage(): void;
  /** The transaction is on disk. */
  committed(): void;
  failed(error: PubSubError): void;
}

export interface CommitLimits {
  /** Rest after a failed commit (a full disk) before the next is tried. */
  readonly commitRetryMs: number;
  /** How long after a failed commit the store still counts as failing: a small write may fit where a batch does not. */
  readonly failingMs: number;
}

/**
 * Gathers everything that arrives while one transaction is being written into the next one: publishes, acks and
 * catalogue changes together, one fsync for all of them. One transaction is in flight at a time, so what it staged is
 * known to be on disk or known to have failed before anything is built on it.
 *
 *     idle ──enlist──► scheduled ──end of the event-loop turn──► writing ──► committed/failed ──► scheduled or idle
 *
 * A failed transaction fails every part in it and every part that waits: nothing that came later may overtake it.
 */
export class GroupCommit {
  readonly #transact: (stage: () => void) => Promise<unknown>;
  readonly #limits: CommitLimits;
  #waiting = new Set<CommitPart>();
  #running: Promise<void> | undefined;
  commits = 0;
  failures = 0;
  totalMs = 0;
  #lastFailure: { readonly atMs: number; readonly error: PubSubError } | undefined;

  constructor(transact: (stage: () => void) => Promise<unknown>, limits: CommitLimits) {
    this.#transact = transact;
    this.#limits = limits;
  }

  /** The part is staged once, with the next commit, however often it is enlisted before that. */
  enlist(part: CommitPart): void {
    this.#waiting.add(part);
    this.#running ??= this.#run();
  }

  /** The part joins the next commit, but does not cause one. */
  ride(part: CommitPart): void {
    this.#waiting.add(part);
  }

  /** Why commits fail, if one did lately. */
  get failing(): PubSubError | undefined {
    const last = this.#lastFailure;
    return last && performance.now() - last.atMs < this.#limits.failingMs ? last.error : undefined;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Runs `stage` in the next commit; resolves with its result once that is on disk.
   * @param stage may throw before its first write: then nothing of it is written and the promise rejects with that
   * @param onDisk runs when it is on disk, before anything of the next transaction is assembled
   */
  exec<T>(stage: () => T, onDisk?: (value: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      let outcome: { value: T } | { thrown: unknown };
      this.enlist({
        stage: () => {
          try {
            outcome = { value: stage() };
          } catch (thrown) {
            outcome = { thrown };
          }
        },
        committed: () => {
          if ('thrown' in outcome) return reject(outcome.thrown);
          onDisk?.(outcome.value);
          resolve(outcome.value);
        },
        failed: reject,
      });
    });
  }

  /** Writes what waits, riders too; resolves when nothing does any more, whether it succeeded or not. */
  async drain(): Promise<void> {
    if (this.#waiting.size > 0) this.#running ??= this.#run();
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    await turnEnd();
    while (this.#waiting.size > 0) {
      const parts = [...this.#waiting];
      this.#waiting.clear();
      if (!(await this.#commit(parts))) await new Promise((resolve) => setTimeout(resolve, this.#limits.commitRetryMs));
    }
    this.#running = undefined;
  }

  async #commit(parts: readonly CommitPart[]): Promise<boolean> {
    const startMs = performance.now();
    try {
      await this.#transact(() => stageAll(parts));
    } catch (error) {
      this.#fail(parts, await storeError(error));
      return false;
    }
    this.commits++;
    this.totalMs += performance.now() - startMs;
    for (const part of parts) part.committed();
    return true;
  }

  #fail(parts: readonly CommitPart[], error: PubSubError): void {
    this.failures++;
    this.#lastFailure = { atMs: performance.now(), error };
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const part of new Set([...parts, ...waiting])) part.failed(error);
  }
}

/**
 * Staging does not fail: what can be refused is refused before the first write. Should it throw all the same, that is a
 * bug, and lmdb has no way to take back what was staged before it: memory would part from the disk. So the process ends,
 * as if it were killed; what is on disk is whole, and nothing of this transaction was acknowledged.
 */
function stageAll(parts: readonly CommitPart[]): void {
  try {
    for (const part of parts) part.stage();
  } catch (bug) {
    setImmediate(() => {
      throw bug;
    });
    throw bug;
  }
}

/** lmdb hands the reason of a failed commit over as a promise that rejects; left alone it would end the process. */
async function storeError(error: unknown): Promise<PubSubError> {
  const reason = (error as { commitError?: Promise<unknown> }).commitError;
  const cause = reason ? await reason.catch((why: unknown) => why) : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PubSubError('UNAVAILABLE', `The store could not write (${why}); nothing was acknowledged, try again.`, {
    cause,
  });
}

function turnEnd(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
