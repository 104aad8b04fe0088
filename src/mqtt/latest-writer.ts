import type { Table } from '../store/store.ts';

interface Writes<T> {
  readonly running: Promise<void>;
  /** What to write when `running` is over; undefined deletes. */
  next: { value: T | undefined; readonly done: Promise<void> } | undefined;
}

/**
 * Writes to a table such that writes of one key never overtake each other, and those that wait collapse into the
 * latest: at most one runs and one waits per key. A write that fails does not stop the next.
 */
export class LatestWriter<T> {
  readonly #table: Table<T>;
  readonly #keys = new Map<string, Writes<T>>();

  constructor(table: Table<T>) {
    this.#table = table;
  }

  /** @returns when `value`, or a later one, is durable. @param value undefined deletes. */
  write(key: string, value: T | undefined): Promise<void> {
    const writes = this.#keys.get(key);
    if (!writes) return this.#start(key, value);
    if (writes.next) {
      writes.next.value = value;
      return writes.next.done;
    }
    const done = writes.running.then(ignore, ignore).then(() => this.#start(key, writes.next?.value));
    writes.next = { value, done };
    return done;
  }

  /** When nothing is left to write. */
  async idle(): Promise<void> {
    while (this.#keys.size > 0) {
      await Promise.allSettled([...this.#keys.values()].map(({ running, next }) => next?.done ?? running));
    }
  }

  #start(key: string, value: T | undefined): Promise<void> {
    const running = value === undefined ? this.#table.delete(key) : this.#table.put(key, value);
    const writes: Writes<T> = { running, next: undefined };
    this.#keys.set(key, writes);
    const finished = () => {
      if (this.#keys.get(key) === writes && !writes.next) this.#keys.delete(key);
    };
    running.then(finished, finished);
    return running;
  }
}

function ignore(): void {}
