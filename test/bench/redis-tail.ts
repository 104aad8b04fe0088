import type { LogRef, Store } from '../../src/store/store.ts';

/** How far a node has read a log, for all its subscriptions together; every batch is read once. */
export class Tail {
  readonly #store: Store;
  readonly #log: LogRef;
  readonly #bytesMax = 1024 * 1024;
  #end = 1;
  #reading: Promise<void> | undefined;
  #appended: (() => void)[] = [];
  #head = 1;

  constructor(store: Store, log: LogRef) {
    this.#store = store;
    this.#log = log;
  }

  get end(): number {
    return this.#end;
  }

  async append(records: readonly Uint8Array[]): Promise<void> {
    const { firstOffset } = await this.#store.append(this.#log, records);
    this.#head = Math.max(this.#head, firstOffset + records.length);
    for (const tell of this.#appended.splice(0)) tell();
  }

  /** Resolves when something at or past `from` was read, with the offset after it. */
  async read(from: number): Promise<number> {
    while (this.#end <= from) {
      if (this.#head <= from) await new Promise<void>((resolve) => this.#appended.push(resolve));
      this.#reading ??= this.#readOn();
      await this.#reading;
    }
    return this.#end;
  }

  async #readOn(): Promise<void> {
    const batches = await this.#store.read(this.#log, this.#end, this.#bytesMax);
    const last = batches.at(-1);
    if (last) this.#end = last.firstOffset + last.count;
    this.#reading = undefined;
  }
}
