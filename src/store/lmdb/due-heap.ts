/** `order` decides between entries that are due at the same time: the smaller goes first. */
export interface DueEntry {
  readonly dueMs: number;
  readonly order: number;
}

/**
 * A binary min-heap by `dueMs` and `order`. Entries are never searched for or moved: whoever replaces one pushes a new one and the
 * owner recognises the old one as stale when it surfaces. `compact` drops the stale ones when they pile up.
 */
export class DueHeap<T extends DueEntry> {
  #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  peek(): T | undefined {
    return this.#entries[0];
  }

  push(entry: T): void {
    const entries = this.#entries;
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, entries[parent]!)) break;
      entries[at] = entries[parent]!;
      at = parent;
    }
    entries[at] = entry;
  }

  pop(): T | undefined {
    const top = this.#entries[0];
    const last = this.#entries.pop();
    if (last !== undefined && this.#entries.length > 0) this.#sinkFromTop(last);
    return top;
  }

  /** In no particular order. */
  entries(): readonly T[] {
    return this.#entries;
  }

  clear(): void {
    this.#entries = [];
  }

  compact(isLive: (entry: T) => boolean): void {
    const live = this.#entries.filter(isLive);
    this.#entries = [];
    for (const entry of live) this.push(entry);
  }

  #sinkFromTop(entry: T): void {
    const entries = this.#entries;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && isBefore(entries[child + 1]!, entries[child]!)) child++;
      if (!isBefore(entries[child]!, entry)) break;
      entries[at] = entries[child]!;
      at = child;
    }
    entries[at] = entry;
  }
}

function isBefore(a: DueEntry, b: DueEntry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
