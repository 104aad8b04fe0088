import type { Snapshot } from '../../domain/snapshot.ts';
import type { Subscription } from '../../domain/subscription.ts';
import { deletedTopic, type Topic } from '../../domain/topic.ts';
import type { StoredSnapshot, StoredSubscription, StoredTopic } from '../store.ts';

/** As stored: a snapshot's acked state is kept under an id of its own, on as many partitions as there were then. */
export interface SnapshotRecord extends StoredSnapshot {
  readonly snapshotId: string;
  readonly partitions: number;
}

/** What scripts find: `'<id> <topic id> <definition as JSON>'`, and what is kept beside it. */
export type Found = readonly [record: Buffer, partitions: Buffer, isOrphan: number, activeMs: Buffer | null];

export interface Row {
  readonly id: string;
  readonly topicId: string;
  readonly definition: unknown;
  readonly partitions: number;
  readonly isOrphan: boolean;
  readonly activeMs: number;
}

export function rowOf([record, partitions, isOrphan, activeMs]: Found): Row {
  const text = record.toString();
  const idEnd = text.indexOf(' ');
  const topicEnd = text.indexOf(' ', idEnd + 1);
  return {
    id: text.slice(0, idEnd),
    topicId: text.slice(idEnd + 1, topicEnd),
    definition: JSON.parse(text.slice(topicEnd + 1)),
    partitions: Number(partitions),
    isOrphan: isOrphan === 1,
    activeMs: Number(activeMs ?? 0),
  };
}

export function storedTopic({ topicId, definition, partitions }: Row): StoredTopic {
  return { topic: definition as Topic, topicId, partitions };
}

export function storedSubscription({
  id,
  topicId,
  definition,
  partitions,
  isOrphan,
  activeMs,
}: Row): StoredSubscription {
  const subscription = definition as Subscription;
  return {
    subscription: isOrphan ? { ...subscription, topic: deletedTopic } : subscription,
    subscriptionId: id,
    topicId,
    partitions,
    activeMs,
  };
}

export function storedSnapshot({ id, topicId, definition }: Row): SnapshotRecord {
  const { partitions, ...snapshot } = definition as Snapshot & { partitions: number };
  return { snapshot, topicId, snapshotId: id, partitions };
}

export function recordOf(id: string, topicId: string, definition: unknown): string {
  return `${id} ${topicId} ${JSON.stringify(definition)}`;
}

/** How many partitions have a snapshot's state lies beside what users see of it. */
export function snapshotDefinition(snapshot: Snapshot, partitions: number): unknown {
  return { ...snapshot, partitions };
}
