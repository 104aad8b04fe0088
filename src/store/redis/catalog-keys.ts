import type { Keys } from './keys.ts';

export type Kind = 'topics' | 'subscriptions' | 'snapshots';
/** What reads the logs of a topic. */
export type Reader = Exclude<Kind, 'topics'>;

/** The keys of the catalogue, all in one slot. */
export class CatalogKeys {
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /** HASH: name to `<id> <topic id> <definition as JSON>`; of a topic both ids are the same. */
  records(kind: Kind): string {
    return this.#keys.catalog(kind);
  }

  /** ZSET, all scores 0: the names, in order. */
  names(kind: Kind): string {
    return this.#keys.catalog(`${kind}:names`);
  }

  /** ZSET: the names of those of one topic. */
  namesOf(kind: Reader, topicId: string): string {
    return this.#keys.catalog(`${kind}:of:${topicId}`);
  }

  /** HASH: topic id to its number of partitions, as long as there are logs. */
  get logs(): string {
    return this.#keys.catalog('logs');
  }

  /** SET: ids of deleted topics that still have logs. */
  get orphans(): string {
    return this.#keys.catalog('orphans');
  }

  /** HASH: subscription id to when it was used last (ms). */
  get active(): string {
    return this.#keys.catalog('active');
  }

  get channel(): string {
    return this.#keys.catalogChannel;
  }
}
