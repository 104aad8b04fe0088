import type { Snapshot } from '../../domain/snapshot.ts';
import type { Subscription } from '../../domain/subscription.ts';
import type { Topic } from '../../domain/topic.ts';
import type { StoredSubscription, StoredTopic } from '../store.ts';
import { CatalogKeys, type Kind, type Reader } from './catalog-keys.ts';
import { recordOf, type SnapshotRecord, snapshotDefinition } from './catalog-row.ts';
import type { Keys } from './keys.ts';
import type { Link } from './link.ts';
import { loadScript, type Script } from './script.ts';

/** What a script decided; `again`: the topic has changed since the caller looked at it. */
export type Added = 'ok' | 'exists' | 'gone' | 'again';
/** `readers`: names of the topic's subscriptions, when it is ok. */
export type Regrouped = { readonly status: 'ok' | 'gone' | 'again'; readonly readers: readonly string[] };

const scripts = {
  addTopic: loadScript('catalog-topic-add'),
  removeTopic: loadScript('catalog-topic-remove'),
  grow: loadScript('catalog-grow'),
  addReader: loadScript('catalog-reader-add'),
  removeReader: loadScript('catalog-reader-remove'),
  update: loadScript('catalog-update'),
  touch: loadScript('catalog-touch'),
  dropLog: loadScript('catalog-log-drop'),
};

/** Changes of the catalogue. Each is one script: atomic, durable on return, and told to all nodes by that very script. */
export class CatalogEdits {
  readonly #link: Link;
  readonly #keys: CatalogKeys;
  readonly #node: string;

  /** @param node signs what is told on the channel */
  constructor(link: Link, keys: Keys, node: string) {
    this.#link = link;
    this.#keys = new CatalogKeys(keys);
    this.#node = node;
  }

  async addTopic({ topic, topicId, partitions }: StoredTopic): Promise<Added> {
    const keys = [this.#keys.records('topics'), this.#keys.names('topics'), this.#keys.logs];
    const args = [topic.name, recordOf(topicId, topicId, topic), topicId, partitions];
    return `${await this.#run(scripts.addTopic, keys, args)}` as Added;
  }

  removeTopic({ topic, topicId, partitions }: StoredTopic): Promise<Regrouped> {
    const keys = [this.#keys.records('topics'), this.#keys.names('topics'), this.#keys.logs, this.#keys.orphans];
    const readers = this.#keys.namesOf('subscriptions', topicId);
    return this.#regroup(scripts.removeTopic, [...keys, readers], [topic.name, topicId, partitions]);
  }

  /** @param equipped names of the subscriptions that have their state on the new partitions */
  grow(stored: StoredTopic, partitions: number, equipped: readonly string[]): Promise<Regrouped> {
    const { topic, topicId, partitions: before } = stored;
    const keys = [this.#keys.records('topics'), this.#keys.logs, this.#keys.namesOf('subscriptions', topicId)];
    return this.#regroup(scripts.grow, keys, [topic.name, topicId, before, partitions], equipped);
  }

  addSubscription(stored: StoredSubscription): Promise<Added> {
    const { subscription, subscriptionId: id, topicId, partitions, activeMs } = stored;
    const record = recordOf(id, topicId, subscription);
    const args = [subscription.name, record, topicId, partitions, subscription.topic, topicId, activeMs, id];
    return this.#addReader('subscriptions', topicId, 'topics', args);
  }

  addSnapshot(made: SnapshotRecord, of: StoredSubscription): Promise<Added> {
    const { snapshot, snapshotId, topicId, partitions } = made;
    const record = recordOf(snapshotId, topicId, snapshotDefinition(snapshot, partitions));
    const args = [snapshot.name, record, topicId, partitions, of.subscription.name, of.subscriptionId, '', ''];
    return this.#addReader('snapshots', topicId, 'subscriptions', args);
  }

  /** @returns how many partitions the topic has; 0: it was not there any more */
  async removeReader(kind: Reader, name: string, id: string, topicId: string): Promise<number> {
    const { logs, active } = this.#keys;
    const keys = [this.#keys.records(kind), this.#keys.names(kind), this.#keys.namesOf(kind, topicId), logs, active];
    return (await this.#run(scripts.removeReader, keys, [name, id, topicId])) as number;
  }

  /** @returns false: there is none of that name; so do the next three */
  updateTopic(topic: Topic): Promise<boolean> {
    return this.#update('topics', topic.name, topic);
  }

  updateSubscription(subscription: Subscription): Promise<boolean> {
    return this.#update('subscriptions', subscription.name, subscription);
  }

  updateSnapshot(snapshot: Snapshot, partitions: number): Promise<boolean> {
    return this.#update('snapshots', snapshot.name, snapshotDefinition(snapshot, partitions));
  }

  async touch(name: string, activeMs: number): Promise<boolean> {
    const keys = [this.#keys.records('subscriptions'), this.#keys.active];
    return (await this.#link.run(scripts.touch, keys, [name, activeMs])) === 1;
  }

  async dropLog(topicId: string): Promise<void> {
    const { logs, orphans } = this.#keys;
    await this.#link.run(scripts.dropLog, [logs, orphans], [topicId], { durable: true });
  }

  async #addReader(kind: Reader, topicId: string, of: Kind, args: readonly (string | number)[]): Promise<Added> {
    const { logs, active } = this.#keys;
    const keys = [this.#keys.records(kind), this.#keys.names(kind), this.#keys.namesOf(kind, topicId), logs];
    return `${await this.#run(scripts.addReader, [...keys, this.#keys.records(of), active], args)}` as Added;
  }

  async #update(kind: Kind, name: string, definition: unknown): Promise<boolean> {
    const args = [name, JSON.stringify(definition)];
    return (await this.#run(scripts.update, [this.#keys.records(kind)], args)) === 1;
  }

  async #regroup(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    more: readonly string[] = [],
  ): Promise<Regrouped> {
    const [status, ...readers] = ((await this.#run(script, keys, args, more)) as Buffer[]).map(String);
    return { status: status as Regrouped['status'], readers };
  }

  /** Every change is told: on which channel, and who tells it. */
  #run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    more: readonly string[] = [],
  ): Promise<unknown> {
    return this.#link.run(script, keys, [...args, this.#keys.channel, this.#node, ...more], { durable: true });
  }
}
