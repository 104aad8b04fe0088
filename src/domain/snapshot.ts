import { dayMs, hourMs } from './duration.ts';
import { invalidArgument, PubSubError } from './errors.ts';
import { checkLabels, type Labels } from './labels.ts';
import { applyUpdateMask, type Updatable } from './update-mask.ts';

/** google.pubsub.v1 Snapshot: the acked state of a subscription at one moment. */
export interface Snapshot {
  readonly name: string; // projects/{project}/snapshots/{snapshot}
  readonly topic: string;
  readonly labels: Labels;
  readonly expireMs: number; // Unix epoch
}

const lifetimeMsMax = 7 * dayMs;
const lifetimeMsMin = hourMs;

/**
 * google.pubsub.v1 Snapshot.expire_time: 7 d, less the age of the oldest message that the subscription has not acked.
 * @param oldestUnackedMs when that was published; undefined when everything is acked.
 * @throws PubSubError FAILED_PRECONDITION: the snapshot would live for less than an hour.
 */
export function snapshotExpireMs(nowMs: number, oldestUnackedMs: number | undefined): number {
  const expireMs = (oldestUnackedMs ?? nowMs) + lifetimeMsMax;
  if (expireMs - nowMs >= lifetimeMsMin) return expireMs;
  throw new PubSubError(
    'FAILED_PRECONDITION',
    'The oldest unacked message of the subscription is so old that the snapshot would expire within an hour; ack or seek past old messages first.',
  );
}

const updatable: Updatable<Snapshot> = {
  noun: 'snapshot',
  fieldByPath: { labels: 'labels', expire_time: 'expireMs' },
  immutable: ['name', 'topic'],
};

/** @throws PubSubError INVALID_ARGUMENT: the mask, or a new value. */
export function updatedSnapshot(
  current: Snapshot,
  wanted: Snapshot,
  paths: readonly string[],
  nowMs: number,
): Snapshot {
  const next = applyUpdateMask(updatable, current, wanted, paths);
  checkLabels(next.labels);
  if (paths.includes('expire_time')) checkExpireMs(next.expireMs, nowMs);
  return next;
}

function checkExpireMs(expireMs: number, nowMs: number): void {
  if (expireMs > nowMs && expireMs <= nowMs + lifetimeMsMax) return;
  throw invalidArgument('expire_time must be in the future, and at most 7 days from now.');
}
