import type { Page, PageRequest, Table } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Link } from './link.ts';
import { loadScript } from './script.ts';

const scripts = { put: loadScript('table-put'), delete: loadScript('table-delete'), page: loadScript('table-page') };

/** A small table, all of it in one slot. Its values are JSON. */
export class RedisTable<T> implements Table<T> {
  readonly #link: Link;
  readonly #keys: readonly [values: string, keys: string];

  constructor(name: string, link: Link, keys: Keys) {
    this.#link = link;
    this.#keys = [keys.table(name, 'values'), keys.table(name, 'keys')];
  }

  async get(key: string): Promise<T | undefined> {
    const value = (await this.#link.command('HGET', this.#keys[0], key)) as Buffer | null;
    return value === null ? undefined : JSON.parse(value.toString());
  }

  async put(key: string, value: T): Promise<void> {
    await this.#link.run(scripts.put, this.#keys, [key, JSON.stringify(value)], { durable: true });
  }

  async delete(key: string): Promise<void> {
    await this.#link.run(scripts.delete, this.#keys, [key], { durable: true });
  }

  async list({ prefix, after, limit }: PageRequest): Promise<Page<{ key: string; value: T }>> {
    const reply = await this.#link.run(scripts.page, this.#keys, [prefix, after ?? '', limit]);
    const [more, ...found] = reply as [number, ...Buffer[]];
    const items = Array.from({ length: found.length / 2 }, (_, i) => {
      return { key: `${found[2 * i]}`, value: JSON.parse(`${found[2 * i + 1]}`) };
    });
    return { items, more: more === 1 };
  }
}
