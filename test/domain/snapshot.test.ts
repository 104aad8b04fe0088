import { describe, expect, it } from 'vitest';
import { snapshotExpireMs, updatedSnapshot } from '../../src/domain/snapshot.ts';
import { expectRefusal } from '../support/refusal.ts';

const hour = 3_600_000;
const day = 24 * hour;
const nowMs = 1_800_000_000_000;
const snapshot = {
  name: 'projects/p/snapshots/before',
  topic: 'projects/p/topics/telemetry',
  labels: {},
  expireMs: nowMs + day,
};

describe('snapshots', () => {
  it('snapshot - lives for 7 days less the age of the oldest unacked message', () => {
    expect(snapshotExpireMs(nowMs, undefined)).toBe(nowMs + 7 * day);
    expect(snapshotExpireMs(nowMs, nowMs - 2 * day)).toBe(nowMs + 5 * day);
    expect(snapshotExpireMs(nowMs, nowMs - 7 * day + hour)).toBe(nowMs + hour);
  });

  it('snapshot - one that would live for less than an hour is refused', async () => {
    await expectRefusal(
      () => snapshotExpireMs(nowMs, nowMs - 7 * day + hour - 1),
      'FAILED_PRECONDITION',
      'within an hour',
    );
  });

  it('snapshot - labels and expiry can be updated, the rest cannot', async () => {
    const wanted = { ...snapshot, labels: { a: 'b' }, expireMs: nowMs + 1 };
    expect(updatedSnapshot(snapshot, wanted, ['labels'], nowMs)).toEqual({ ...snapshot, labels: { a: 'b' } });
    expect(updatedSnapshot(snapshot, wanted, ['expire_time'], nowMs)).toEqual({ ...snapshot, expireMs: nowMs + 1 });
    await expectRefusal(
      () => updatedSnapshot(snapshot, wanted, ['topic'], nowMs),
      'INVALID_ARGUMENT',
      'cannot be changed',
    );
  });

  it.each([nowMs, nowMs + 7 * day + 1])('snapshot - I9: cannot be made to expire at %d', async (expireMs) => {
    const wanted = { ...snapshot, expireMs };
    await expectRefusal(() => updatedSnapshot(snapshot, wanted, ['expire_time'], nowMs), 'INVALID_ARGUMENT', '7 days');
  });
});
