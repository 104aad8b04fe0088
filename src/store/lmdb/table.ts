import type { Page, PageRequest, Table } from '../store.ts';
import { type Environment, staged, under } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';

/** A small table; its writes share the commits of everything else. */
export class LmdbTable<T> implements Table<T> {
  readonly #name: string;
  readonly #env: Environment;
  readonly #commit: GroupCommit;

  constructor(name: string, env: Environment, commit: GroupCommit) {
    this.#name = name;
    this.#env = env;
    this.#commit = commit;
  }

  async get(key: string): Promise<T | undefined> {
    return this.#env.tables.get([this.#name, key]) as T | undefined;
  }

  async put(key: string, value: T): Promise<void> {
    await this.#commit.exec(() => staged(this.#env.tables.put([this.#name, key], value)));
  }

  async delete(key: string): Promise<void> {
    await this.#commit.exec(() => staged(this.#env.tables.remove([this.#name, key])));
  }

  async list({ prefix, after, limit }: PageRequest): Promise<Page<{ key: string; value: T }>> {
    const items: { key: string; value: T }[] = [];
    const start: [string, string] = [this.#name, after !== undefined && after > prefix ? after : prefix];
    for (const { key, value } of this.#env.tables.getRange({ start, end: under<[string, string]>([this.#name]).end })) {
      if (!key[1].startsWith(prefix)) break;
      if (key[1] === after) continue;
      if (items.length === limit) return { items, more: true };
      items.push({ key: key[1], value: value as T });
    }
    return { items, more: false };
  }
}
