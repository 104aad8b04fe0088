import type { LogRef } from '../store.ts';

/**
 * Names of keys and channels. Everything of a partition, its subscriptions included, shares one hash tag, so that one
 * script may touch it on a cluster; the catalogue has a tag of its own, and so has each table.
 */
export class Keys {
  readonly prefix: string;

  /** @param prefix without braces; sets deployments on one server apart, channels too: Redis pub/sub knows no databases. */
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  partition(log: LogRef): PartitionKeys {
    return new PartitionKeys(`${this.prefix}{${log.topicId}/${log.partition}}:`);
  }

  catalog(what: string): string {
    return `${this.prefix}{catalog}:${what}`;
  }

  table(name: string, what: string): string {
    return `${this.prefix}{table:${name}}:${what}`;
  }

  /** Told after every append to the log, and whenever something of it became due at once. */
  wakeChannel(log: LogRef): string {
    return `${this.prefix}wake:${log.topicId}/${log.partition}`;
  }

  /** Told the name of each topic, subscription or snapshot that was created, changed or deleted. */
  get catalogChannel(): string {
    return `${this.prefix}catalog`;
  }
}

/** The keys of one partition. */
export class PartitionKeys {
  readonly #tag: string;

  constructor(tag: string) {
    this.#tag = tag;
  }

  /**
   * STREAM: one entry is one batch. Its id is `<first offset>-<publish ms>`, so the batch that holds an offset is found by
   * that; fields, in this order: n records, b bytes of the log before it, d packed records.
   */
  get log(): string {
    return `${this.#tag}log`;
  }

  /**
   * HASH. A partition without it does not exist. h the offset that the next append gets, f the first that is kept, ms the
   * last publish time, b bytes ever appended, fb those before f, p partitions of the topic, r 1 when the topic was
   * deleted, mv how often a subscription was moved here (seek, restore).
   */
  get meta(): string {
    return `${this.#tag}m`;
  }

  /** Of a subscription or snapshot, by its id. @param what a letter that the scripts' headers explain */
  of(what: string, id: string): string {
    return `${this.#tag}${what}:${id}`;
  }

  /** STRING, for a minute: what a node's last commit was answered. */
  lastCommit(node: string): string {
    return `${this.#tag}w:${node}`;
  }

  /** ZSET: ids of snapshots that are being made, by when that is given up (ms). */
  get holds(): string {
    return `${this.#tag}hold`;
  }

  /** HASH: dedupe key to where its append went. */
  get dedupe(): string {
    return `${this.#tag}d`;
  }

  /** ZSET over the dedupe keys: score = when it was written (ms). */
  get dedupeAge(): string {
    return `${this.#tag}da`;
  }
}
