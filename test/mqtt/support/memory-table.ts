import type { Table } from '../../../src/store/store.ts';

/** A table that forgets nothing but what it is told to, for as long as the test lasts: "disk" across server restarts. */
export class MemoryTable<T> implements Table<T> {
  readonly rows = new Map<string, T>();
  /** Called before every write; may delay it or make it fail. */
  beforeWrite: () => Promise<void> = async () => {};

  async get(key: string): Promise<T | undefined> {
    return this.rows.get(key);
  }

  async put(key: string, value: T): Promise<void> {
    const written = structuredClone(value);
    await this.beforeWrite();
    this.rows.set(key, written);
  }

  async delete(key: string): Promise<void> {
    await this.beforeWrite();
    this.rows.delete(key);
  }

  async list({ prefix, after, limit }: { prefix: string; after?: string; limit: number }) {
    const keys = [...this.rows.keys()].filter((key) => key.startsWith(prefix) && (after === undefined || key > after));
    keys.sort();
    const items = keys.slice(0, limit).map((key) => ({ key, value: this.rows.get(key)! }));
    return { items, more: keys.length > limit };
  }
}
