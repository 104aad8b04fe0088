import { invalidArgument, PubSubError } from './errors.ts';
import type { Labels } from './labels.ts';
import { quote } from './quote.ts';

// Partitions are Headwater's own: how many logs share a topic's load. Google's Topic has no field for them.

/** Each costs a log and, per subscription, a lease of its own; far below what a message id has room for. */
export const topicPartitionsMax = 256;

/** The label by which clients of Google's API ask for partitions, at creation or by an update. */
export const partitionsLabel = 'headwater-partitions';

/** @throws PubSubError INVALID_ARGUMENT */
export function checkPartitions(partitions: number): void {
  if (Number.isInteger(partitions) && partitions >= 1 && partitions <= topicPartitionsMax) return;
  throw invalidArgument(`A topic cannot have ${partitions} partitions; it has 1 to ${topicPartitionsMax}.`);
}

/**
 * @returns how many partitions the labels ask for; undefined: they do not say.
 * @throws PubSubError INVALID_ARGUMENT the label is there and is no number that is allowed.
 */
export function partitionsByLabel(labels: Labels): number | undefined {
  if (!Object.hasOwn(labels, partitionsLabel)) return undefined;
  const text = labels[partitionsLabel]!;
  const partitions = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : 0;
  if (partitions >= 1 && partitions <= topicPartitionsMax) return partitions;
  throw invalidArgument(
    `The label ${partitionsLabel} is ${quote(text)}; it must be a whole number from 1 to ${topicPartitionsMax}.`,
  );
}

/** A log cannot be folded into another: its messages, and what is acked of them, would change their order. */
export function cannotShrink(topic: string, before: number, partitions: number): PubSubError {
  const text = `The topic ${topic} has ${before} partitions and cannot be folded into ${partitions}; ask for ${before} or more.`;
  return new PubSubError('FAILED_PRECONDITION', text);
}

/** FNV-1a over UTF-16 code units; it decides where keys live, so it must never change. */
export function partitionOfKey(key: string, partitions: number): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) state = Math.imul(state ^ key.charCodeAt(i), 0x01000193);
  return (state >>> 0) % partitions;
}
