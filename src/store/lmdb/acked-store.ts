import { AckedSet } from './acked-set.ts';
import { type Environment, type PartKey, staged, under } from './environment.ts';

// Where acked sets live on disk. The owner is a subscription id or a snapshot id: a snapshot is a copy. All writes are
// to be called while a commit is assembled.

export function loadAcked(env: Environment, owner: string, partition: number): { acked: AckedSet; epoch: number } {
  const progress = env.progress.get([owner, partition])!;
  const acked = new AckedSet(progress.watermark);
  for (const { key, value } of env.acked.getRange(under<PartKey>([owner, partition]))) acked.loadChunk(key[2], value);
  return { acked, epoch: progress.epoch };
}

export function loadAttempts(env: Environment, owner: string, partition: number): Map<number, number> {
  const attempts = new Map<number, number>();
  for (const { key, value } of env.attempts.getRange(under<PartKey>([owner, partition]))) attempts.set(key[2], value);
  return attempts;
}

/** Writes what changed since the last time. */
export function stageChanges(env: Environment, owner: string, partition: number, acked: AckedSet): void {
  for (const [number, bits] of acked.takeDirty()) {
    if (bits) staged(env.acked.put([owner, partition, number], Buffer.from(bits)));
    else staged(env.acked.remove([owner, partition, number]));
  }
}

/** Replaces whatever the owner has by `acked` (or removes it). */
export function stageReplacement(
  env: Environment,
  owner: string,
  partition: number,
  acked: AckedSet | undefined,
  epoch: number,
): void {
  for (const key of env.acked.getKeys(under<PartKey>([owner, partition]))) staged(env.acked.remove(key));
  for (const key of env.attempts.getKeys(under<PartKey>([owner, partition]))) staged(env.attempts.remove(key));
  if (!acked) {
    staged(env.progress.remove([owner, partition]));
    return;
  }
  staged(env.progress.put([owner, partition], { watermark: acked.watermark, epoch }));
  for (const [number, bits] of acked.chunks()) staged(env.acked.put([owner, partition, number], Buffer.from(bits)));
}

export function stageAttemptsRemoval(env: Environment, owner: string, partition: number, beforeOffset: number): void {
  const range = { start: [owner, partition, 0] as PartKey, end: [owner, partition, beforeOffset] as PartKey };
  for (const key of env.attempts.getKeys(range)) staged(env.attempts.remove(key));
}
