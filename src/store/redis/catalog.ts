import type { Page, PageRequest, StoredSubscription, StoredTopic } from '../store.ts';
import { CatalogKeys, type Kind, type Reader } from './catalog-keys.ts';
import {
  type Found,
  type Row,
  rowOf,
  type SnapshotRecord,
  storedSnapshot,
  storedSubscription,
  storedTopic,
} from './catalog-row.ts';
import type { Keys } from './keys.ts';
import type { Link } from './link.ts';
import { notFound } from './naming.ts';
import { loadScript } from './script.ts';

const scripts = { read: loadScript('catalog-read'), page: loadScript('catalog-page') };

/**
 * Names and definitions, as they are read; always from Redis, so never older than the call. How many partitions a topic
 * has, and that it was deleted, is kept once per topic and joined in when a subscription is read.
 */
export class Catalog {
  readonly #link: Link;
  readonly #keys: CatalogKeys;

  constructor(link: Link, keys: Keys) {
    this.#link = link;
    this.#keys = new CatalogKeys(keys);
  }

  async topic(name: string): Promise<StoredTopic | undefined> {
    const [row] = await this.#read('topics', [name]);
    return row && storedTopic(row);
  }

  async subscription(name: string): Promise<StoredSubscription | undefined> {
    const [row] = await this.#read('subscriptions', [name]);
    return row && storedSubscription(row);
  }

  /** @throws NOT_FOUND */
  async existingSubscription(name: string): Promise<StoredSubscription> {
    const stored = await this.subscription(name);
    if (!stored) throw notFound('subscription', name);
    return stored;
  }

  async snapshot(name: string): Promise<SnapshotRecord | undefined> {
    const [row] = await this.#read('snapshots', [name]);
    return row && storedSnapshot(row);
  }

  listTopics(page: PageRequest): Promise<Page<StoredTopic>> {
    return this.#list('topics', page, storedTopic);
  }

  listSubscriptions(page: PageRequest): Promise<Page<StoredSubscription>> {
    return this.#list('subscriptions', page, storedSubscription);
  }

  listSnapshots(page: PageRequest): Promise<Page<SnapshotRecord>> {
    return this.#list('snapshots', page, storedSnapshot);
  }

  /** Names of a topic's subscriptions or snapshots, sorted. */
  async readersOf(kind: Reader, topicId: string): Promise<string[]> {
    const names = await this.#link.command('ZRANGE', this.#keys.namesOf(kind, topicId), 0, -1);
    return (names as Buffer[]).map(String);
  }

  /** The same, with their ids. */
  async readerIdsOf(kind: Reader, topicId: string): Promise<{ readonly name: string; readonly id: string }[]> {
    const names = await this.readersOf(kind, topicId);
    const rows = names.length === 0 ? [] : await this.#read(kind, names);
    return rows.flatMap((row, at) => (row ? { name: names[at]!, id: row.id } : []));
  }

  /** Topics that have logs, deleted ones included. */
  async logs(): Promise<{ readonly topicId: string; readonly partitions: number }[]> {
    const found = ((await this.#link.command('HGETALL', this.#keys.logs)) as Buffer[]).map(String);
    return found.flatMap((topicId, at) => (at % 2 === 0 ? { topicId, partitions: Number(found[at + 1]) } : []));
  }

  /** Of one that has logs, deleted or not; 0: it has none. */
  async partitionsOf(topicId: string): Promise<number> {
    return Number(await this.#link.command('HGET', this.#keys.logs, topicId));
  }

  async isOrphan(topicId: string): Promise<boolean> {
    return (await this.#link.command('SISMEMBER', this.#keys.orphans, topicId)) === 1;
  }

  async #read(kind: Kind, names: readonly string[]): Promise<(Row | undefined)[]> {
    const found = await this.#link.run(scripts.read, this.#recordKeys(kind), names);
    return (found as (Found | null)[]).map((it) => (it ? rowOf(it) : undefined));
  }

  async #list<T>(kind: Kind, { prefix, after, limit }: PageRequest, stored: (row: Row) => T): Promise<Page<T>> {
    const keys = [...this.#recordKeys(kind), this.#keys.names(kind)];
    const reply = await this.#link.run(scripts.page, keys, [prefix, after ?? '', limit]);
    const [more, ...found] = reply as [number, ...Found[]];
    return { items: found.map((it) => stored(rowOf(it))), more: more === 1 };
  }

  #recordKeys(kind: Kind): string[] {
    const { logs, orphans, active } = this.#keys;
    return [this.#keys.records(kind), logs, orphans, active];
  }
}
