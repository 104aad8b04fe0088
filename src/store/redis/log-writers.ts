import type { Appended, LogRef } from '../store.ts';
import type { Keys } from './keys.ts';
import { type Link, stopping } from './link.ts';
import { LogWriter, type WriteLimits, type Writing } from './log-writer.ts';

/** A writer per log that somebody is appending to right now. */
export class LogWriters {
  readonly #shared: Writing;
  readonly #writers = new Map<string, LogWriter>();
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(link: Link, keys: Keys, node: string, limits: WriteLimits) {
    const counts = { commits: 0, failures: 0, records: 0, totalMs: 0 };
    this.#shared = { link, keys, limits, node, nextCommit: 0, queuedBytes: 0, queued: 0, ...counts };
  }

  /** @throws NOT_FOUND; ABORTED (PlacedAmongFewer); UNAVAILABLE */
  append(
    log: LogRef,
    records: readonly Uint8Array[],
    dedupe: string | undefined,
    placedAmong: number,
  ): Promise<Appended> {
    if (this.#closing) return Promise.reject(stopping());
    const name = `${log.topicId}/${log.partition}`;
    let writer = this.#writers.get(name);
    if (!writer) {
      writer = new LogWriter(log, this.#shared, () => this.#idle(name));
      this.#writers.set(name, writer);
    }
    return writer.append(records, dedupe, placedAmong);
  }

  counters(): Readonly<Pick<Writing, 'commits' | 'failures' | 'records' | 'queued' | 'totalMs'>> {
    return this.#shared;
  }

  /** Takes nothing more; resolves when nothing is on its way any more. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#drained = resolve;
      if (this.#writers.size === 0) resolve();
    });
    return this.#closing;
  }

  #idle(name: string): void {
    this.#writers.delete(name);
    if (this.#writers.size === 0) this.#drained?.();
  }
}
