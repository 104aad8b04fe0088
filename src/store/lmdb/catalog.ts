import { PubSubError } from '../../domain/errors.ts';
import { cannotShrink } from '../../domain/partitions.ts';
import type { Snapshot } from '../../domain/snapshot.ts';
import type { Subscription } from '../../domain/subscription.ts';
import { deletedTopic, type Topic } from '../../domain/topic.ts';
import type { Page, PageRequest, StoredSnapshot, StoredSubscription, StoredTopic } from '../store.ts';
import { type Environment, staged, under } from './environment.ts';

/** As stored: a snapshot's acked state is kept under an id of its own. */
export interface SnapshotRecord extends StoredSnapshot {
  readonly snapshotId: string;
  readonly partitions: number;
}

/** What keeps a log alive after its topic was deleted, until nobody reads it. */
export interface OrphanRecord {
  readonly topicId: string;
  readonly partitions: number;
}

/** What a topic with more partitions means for those who read it. */
export interface Growth {
  readonly topicId: string;
  readonly before: number;
  readonly partitions: number;
  /** Names of those that got more partitions. */
  readonly subscriptions: readonly string[];
  /** Ids of the subscriptions and snapshots that need acked state on the new partitions. */
  readonly owners: readonly string[];
}

type Kind = 'topic' | 'subscription' | 'snapshot' | 'orphan';

/**
 * Names and definitions. Reads look at what is committed; `stage…` methods check and write, and are to be called while
 * a commit is assembled, one of them per commit, so that a check never misses what the same commit writes.
 */
export class Catalog {
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  topic(name: string): StoredTopic | undefined {
    return this.#get('topic', name);
  }

  subscription(name: string): StoredSubscription | undefined {
    return this.#get('subscription', name);
  }

  snapshot(name: string): SnapshotRecord | undefined {
    return this.#get('snapshot', name);
  }

  listTopics(page: PageRequest): Page<StoredTopic> {
    return this.#list('topic', page);
  }

  listSubscriptions(page: PageRequest): Page<StoredSubscription> {
    return this.#list('subscription', page);
  }

  listSnapshots(page: PageRequest): Page<SnapshotRecord> {
    return this.#list('snapshot', page);
  }

  subscriptionsOf(topicId: string): string[] {
    return this.#indexed('subscriptions of', topicId);
  }

  snapshotsOf(topicId: string): string[] {
    return this.#indexed('snapshots of', topicId);
  }

  /** Topics and deleted topics that still have a log, by internal id. */
  *logs(): Generator<OrphanRecord> {
    for (const kind of ['topic', 'orphan'] as const) {
      for (const { value } of this.#env.catalog.getRange(under<string[]>([kind]))) yield value as OrphanRecord;
    }
  }

  stageTopic(topic: Topic, partitions: number): StoredTopic {
    if (this.topic(topic.name)) throw alreadyExists('topic', topic.name);
    const stored: StoredTopic = { topic, topicId: this.#newId('t'), partitions };
    this.#put('topic', topic.name, stored);
    return stored;
  }

  stageTopicUpdate(topic: Topic): void {
    this.#put('topic', topic.name, { ...known('topic', topic.name, this.topic(topic.name)), topic });
  }

  /**
   * Gives the topic, its subscriptions and its snapshots more partitions; as many as there are changes nothing.
   * @throws FAILED_PRECONDITION fewer than there are
   */
  stageGrowth(name: string, partitions: number): Growth {
    const stored = known('topic', name, this.topic(name));
    const { topicId, partitions: before } = stored;
    if (partitions < before) throw cannotShrink(name, before, partitions);
    const subscriptions = this.subscriptionsOf(topicId);
    if (partitions === before) return { topicId, before, partitions, subscriptions: [], owners: [] };
    this.#put('topic', name, { ...stored, partitions });
    const owners: string[] = [];
    for (const subscriber of subscriptions) {
      const subscription = this.subscription(subscriber)!;
      this.#put('subscription', subscriber, { ...subscription, partitions });
      owners.push(subscription.subscriptionId);
    }
    for (const taken of this.snapshotsOf(topicId)) {
      const snapshot = this.snapshot(taken)!;
      this.#put('snapshot', taken, { ...snapshot, partitions });
      owners.push(snapshot.snapshotId);
    }
    return { topicId, before, partitions, subscriptions, owners };
  }

  /** The log becomes an orphan; its subscriptions name `_deleted-topic_`. */
  stageTopicDeletion(name: string): void {
    const { topicId, partitions } = known('topic', name, this.topic(name));
    staged(this.#env.catalog.remove(['topic', name]));
    this.#put('orphan', topicId, { topicId, partitions });
    for (const subscriber of this.subscriptionsOf(topicId)) {
      const stored = this.subscription(subscriber)!;
      const subscription = { ...stored.subscription, topic: deletedTopic };
      this.#put('subscription', subscriber, { ...stored, subscription });
    }
  }

  stageSubscription(subscription: Subscription, activeMs: number): StoredSubscription {
    const { name, topic } = subscription;
    const stored = known('topic', topic, this.topic(topic));
    if (this.subscription(name)) throw alreadyExists('subscription', name);
    const { topicId, partitions } = stored;
    const made: StoredSubscription = { subscription, subscriptionId: this.#newId('s'), topicId, partitions, activeMs };
    this.#put('subscription', name, made);
    staged(this.#env.catalog.put(['subscriptions of', topicId, name], true));
    return made;
  }

  stageSubscriptionUpdate(name: string, change: Partial<StoredSubscription>): void {
    this.#put('subscription', name, { ...known('subscription', name, this.subscription(name)), ...change });
  }

  stageSubscriptionDeletion(name: string): void {
    const { topicId } = known('subscription', name, this.subscription(name));
    staged(this.#env.catalog.remove(['subscription', name]));
    staged(this.#env.catalog.remove(['subscriptions of', topicId, name]));
  }

  stageSnapshot(snapshot: Snapshot, topicId: string, partitions: number): SnapshotRecord {
    if (this.snapshot(snapshot.name)) throw alreadyExists('snapshot', snapshot.name);
    const made: SnapshotRecord = { snapshot, topicId, partitions, snapshotId: this.#newId('n') };
    this.#put('snapshot', snapshot.name, made);
    staged(this.#env.catalog.put(['snapshots of', topicId, snapshot.name], true));
    return made;
  }

  stageSnapshotUpdate(snapshot: Snapshot): void {
    const { name } = snapshot;
    this.#put('snapshot', name, { ...known('snapshot', name, this.snapshot(name)), snapshot });
  }

  stageSnapshotDeletion(name: string): SnapshotRecord {
    const record = known('snapshot', name, this.snapshot(name));
    staged(this.#env.catalog.remove(['snapshot', name]));
    staged(this.#env.catalog.remove(['snapshots of', record.topicId, name]));
    return record;
  }

  isOrphan(topicId: string): boolean {
    return this.#get<OrphanRecord>('orphan', topicId) !== undefined;
  }

  stageOrphanRemoval(topicId: string): void {
    staged(this.#env.catalog.remove(['orphan', topicId]));
  }

  #get<T>(kind: Kind, name: string): T | undefined {
    return this.#env.catalog.get([kind, name]) as T | undefined;
  }

  #put(kind: Kind, name: string, value: unknown): void {
    staged(this.#env.catalog.put([kind, name], value));
  }

  #list<T>(kind: Kind, { prefix, after, limit }: PageRequest): Page<T> {
    const items: T[] = [];
    const start = after !== undefined && after > prefix ? after : prefix;
    for (const { key, value } of this.#env.catalog.getRange({
      start: [kind, start],
      end: under<string[]>([kind]).end,
    })) {
      const name = key[1]!;
      if (!name.startsWith(prefix)) break;
      if (name === after) continue;
      if (items.length === limit) return { items, more: true };
      items.push(value as T);
    }
    return { items, more: false };
  }

  #indexed(index: string, topicId: string): string[] {
    const range = under<string[]>([index, topicId]);
    return [...this.#env.catalog.getKeys(range)].map((key) => key[2]!);
  }

  #newId(letter: string): string {
    const next = ((this.#env.meta.get(['lastId']) as number | undefined) ?? 0) + 1;
    staged(this.#env.meta.put(['lastId'], next));
    return `${letter}${next}`;
  }
}

function known<T>(noun: string, name: string, found: T | undefined): T {
  if (found === undefined) throw new PubSubError('NOT_FOUND', `There is no ${noun} ${name}.`);
  return found;
}

function alreadyExists(noun: string, name: string): PubSubError {
  return new PubSubError('ALREADY_EXISTS', `There is already a ${noun} ${name}; choose another name or update it.`);
}
