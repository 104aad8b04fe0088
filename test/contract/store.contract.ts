import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackRecords } from '../../src/domain/batch.ts';
import type { RetryPolicy } from '../../src/domain/retry-policy.ts';
import type { Subscription } from '../../src/domain/subscription.ts';
import type { LeasedBlock, LeaseGrant, LeaseRef, LeaseRequest, LogRef, Store } from '../../src/store/store.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

/** One store for one test. `reopen` closes it and opens what it left. */
export interface StoreUnderTest {
  store: Store;
  /** Whether leases outlive the process that gave them out; otherwise every unacked message is due after a restart. */
  readonly leasesSurvive: boolean;
  reopen(): Promise<Store>;
  remove(): Promise<void>;
}

export type OpenStoreUnderTest = (clock: VirtualClock) => Promise<StoreUnderTest>;

const topicName = 'projects/p/topics/t';
const subName = 'projects/p/subscriptions/s';
const sub = { subscription: subName, partition: 0 };
const lax = { strict: false };
const strict = { strict: true };

export function subscriptionNamed(name: string, changes: Partial<Subscription> = {}): Subscription {
  return {
    name,
    topic: topicName,
    labels: {},
    ackDeadlineMs: 10_000,
    retainAckedMessages: false,
    messageRetentionMs: 604_800_000,
    filter: '',
    enableMessageOrdering: false,
    enableExactlyOnceDelivery: false,
    detached: false,
    ...changes,
  };
}

/** Every adapter passes these; `npm test` runs them on each. */
export function storeContract(adapter: string, open: OpenStoreUnderTest): void {
  describe(`${adapter} keeps the store contract`, () => {
    let clock: VirtualClock;
    let under: StoreUnderTest;
    let store: Store;
    let log: LogRef;

    beforeEach(async () => {
      clock = virtualClock();
      under = await open(clock);
      store = under.store;
      const { topicId } = await store.createTopic({ name: topicName, labels: {} });
      log = { topicId, partition: 0 };
      await store.createSubscription(subscriptionNamed(subName));
    });

    afterEach(async () => {
      await under.remove();
    });

    /** Closes the store and opens what it left, and every message that was out is due. */
    async function restart(): Promise<void> {
      store = await under.reopen();
      if (under.leasesSurvive) clock.advance(10_000);
    }

    /** Listens to the log from now on; a store may tell of what was before, so that is let come first. */
    async function listen(): Promise<{ readonly woken: Promise<void>; readonly stop: () => void }> {
      let wake = () => {};
      const stop = store.onWake(log, () => wake());
      for (let i = 0; i < 5; i++) await store.watermarks(log);
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      return { woken, stop };
    }

    const record = (text: string) => Buffer.from(text);
    const append = (...texts: string[]) => store.append(log, texts.map(record));
    const appendMany = (count: number) => append(...Array.from({ length: count }, (_, i) => `m${i + 1}`));

    /** Leases from wherever the cursor is, as the subscriber does. */
    async function lease(max: number, options: LeaseOptions = {}, at = sub): Promise<LeaseGrant> {
      const probe = await store.lease(at, { ...request(0), ...options, messagesMax: 0 });
      const fresh = { from: probe.cursor, count: probe.head - probe.cursor, ...options.range };
      return store.lease(at, { ...request(max), ...options, fresh });
    }

    async function leaseOffsets(max: number, options: LeaseOptions = {}): Promise<number[]> {
      return offsetsOf(await lease(max, options));
    }

    describe('log', () => {
      it('gives dense offsets from 1 and reads back what was appended (I1)', async () => {
        expect(await append('a', 'b')).toEqual({ firstOffset: 1, publishMs: clock(), duplicate: false });
        expect((await append('c')).firstOffset).toBe(3);
        expect(await texts(store, log, 1)).toEqual(['a', 'b', 'c']);
        expect(await texts(store, log, 3)).toContain('c');
        expect(await store.read(log, 4, 1000)).toEqual([]);
      });

      it('keeps the records of concurrent appends together and in the order of the calls (I7)', async () => {
        const appended = await Promise.all([append('a', 'b'), append('c'), append('d', 'e', 'f')]);
        expect(appended.map(({ firstOffset }) => firstOffset)).toEqual([1, 3, 4]);
        expect(await texts(store, log, 1)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
      });

      it('reads from the batch that holds an offset, at least one batch and not much more than asked', async () => {
        for (let i = 0; i < 5; i++) await append(`${i}`.repeat(1000), `${i}`.repeat(1000));
        const batches = await store.read(log, 4, 1);
        expect(batches).toHaveLength(1);
        expect(batches[0]).toMatchObject({ firstOffset: 3, count: 2 });
        expect((await store.read(log, 4, 3000)).map(({ firstOffset }) => firstOffset)).toEqual([3, 5]);
      });

      it('stamps a time that never decreases, even when the clock does', async () => {
        const first = await append('a');
        clock.advance(-5000);
        expect((await append('b')).publishMs).toBe(first.publishMs);
      });

      it('finds the first offset at or after a time', async () => {
        const startMs = clock();
        for (let i = 0; i < 4; i++) {
          await append(`a${i}`, `b${i}`);
          clock.advance(1000);
        }
        expect(await store.offsetAt(log, startMs)).toBe(1);
        expect(await store.offsetAt(log, startMs + 1)).toBe(3);
        expect(await store.offsetAt(log, startMs + 2000)).toBe(5);
        expect(await store.offsetAt(log, startMs + 9000)).toBe(9);
      });

      it('survives a restart with head, times and content (I10)', async () => {
        await append('a', 'b');
        store = await under.reopen();
        expect((await append('c')).firstOffset).toBe(3);
        expect(await texts(store, log, 1)).toEqual(['a', 'b', 'c']);
      });

      it('trims whole batches only, and keeps the head when nothing is left', async () => {
        await append('a', 'b');
        await append('c', 'd');
        await store.skipTo(sub, 5); // else a store may keep what is owed
        await store.trim(log, 4);
        expect(await store.watermarks(log)).toMatchObject({ first: 3, head: 5 });
        expect(await texts(store, log, 1)).toEqual(['c', 'd']);
        await store.trim(log, 5);
        expect(await store.watermarks(log)).toMatchObject({ first: 5, head: 5, bytes: 0 });
        store = await under.reopen();
        expect((await append('e')).firstOffset).toBe(5);
      });

      it('refuses an append to a log that does not exist, or whose topic was deleted', async () => {
        await expect(store.append({ topicId: 'none', partition: 0 }, [record('a')])).rejects.toMatchObject(notFound);
        await store.deleteTopic(topicName);
        await expect(append('a')).rejects.toMatchObject(notFound);
      });

      it('wakes whoever listens to the log, until told to stop', async () => {
        const { woken, stop } = await listen();
        await append('a');
        await woken;
        stop();
        let wakes = 0;
        store.onWake(log, () => wakes++)();
        const other = await listen();
        await append('b');
        await other.woken;
        expect(wakes).toBe(0);
        other.stop();
      });
    });

    describe('dedupe', () => {
      const appendOnce = (key: string, text: string) => store.append(log, [record(text)], key);

      it('recognises a repeated append, in flight, later and after a restart (I6)', async () => {
        const [first, second] = await Promise.all([appendOnce('k', 'a'), appendOnce('k', 'a')]);
        expect(first).toMatchObject({ firstOffset: 1, duplicate: false });
        expect(second).toMatchObject({ firstOffset: 1, duplicate: true });
        expect(await appendOnce('k', 'a')).toMatchObject({ firstOffset: 1, duplicate: true });
        store = await under.reopen();
        expect(await appendOnce('k', 'a')).toMatchObject({ firstOffset: 1, duplicate: true });
        expect(await texts(store, log, 1)).toEqual(['a']);
      });

      it('appends anew once the key is forgotten, wherever it was', async () => {
        await appendOnce('k', 'a');
        await store.forget(log, ['k', 'unknown']);
        expect(await appendOnce('k', 'b')).toMatchObject({ firstOffset: 2, duplicate: false });
        await store.forget(undefined, ['k']);
        expect(await appendOnce('k', 'c')).toMatchObject({ firstOffset: 3, duplicate: false });
      });

      it('lets old keys go by their age', async () => {
        await appendOnce('old', 'a');
        clock.advance(1000);
        await appendOnce('new', 'b');
        await store.forgetBefore(log, clock());
        expect(await appendOnce('new', 'b')).toMatchObject({ duplicate: true });
        expect(await appendOnce('old', 'a')).toMatchObject({ duplicate: false });
      });
    });

    describe('lease', () => {
      it('hands each message out once, oldest first (I4)', async () => {
        await appendMany(5);
        expect(await leaseOffsets(2)).toEqual([1, 2]);
        expect(await leaseOffsets(10)).toEqual([3, 4, 5]);
        expect(await leaseOffsets(10)).toEqual([]);
      });

      it('hands nothing fresh out when the cursor has moved since the caller looked', async () => {
        await appendMany(3);
        await lease(1);
        const grant = await store.lease(sub, { ...request(5), fresh: { from: 1, count: 3 } });
        expect(grant).toMatchObject({ cursor: 2, head: 4, blocks: [] });
      });

      it('never hands out what lies past the head', async () => {
        await appendMany(1);
        const grant = await store.lease(sub, { ...request(5), fresh: { from: 1, count: 99 } });
        expect(offsetsOf(grant)).toEqual([1]);
        expect(grant.cursor).toBe(2);
      });

      it('hands a message out again at its deadline, with a new block and the next attempt number', async () => {
        await appendMany(1);
        const first = only(await lease(5));
        expect(first).toMatchObject({ offsets: [1], attempts: [1], deadlineMs: clock() + 10_000 });
        clock.advance(9999);
        expect(await lease(5)).toMatchObject({ blocks: [], nextDueMs: clock() + 1 });
        clock.advance(1);
        const second = only(await lease(5));
        expect(second).toMatchObject({ offsets: [1], attempts: [2] });
        expect(second.block).not.toBe(first.block);
      });

      it('hands due messages out within the limit and keeps the rest due', async () => {
        await appendMany(5);
        await lease(5);
        clock.advance(10_000);
        expect(await leaseOffsets(2)).toEqual([1, 2]);
        expect(await leaseOffsets(9)).toEqual([3, 4, 5]);
      });

      it('skips what the filter rejects: it counts as acked (I3)', async () => {
        await appendMany(4);
        const skip = Uint8Array.from([1, 0, 1, 0]);
        expect(await leaseOffsets(9, { range: { from: 1, count: 4, skip } })).toEqual([2, 4]);
        await expectStats({ backlog: 2, outstanding: 2 });
      });

      it('waits for the retry policy before an expired message goes out again', async () => {
        await appendMany(1);
        const retry = { minimumBackoffMs: 1000, maximumBackoffMs: 1500 };
        await lease(1, { retry });
        clock.advance(10_000);
        expect(await leaseOffsets(1, { retry })).toEqual([]);
        clock.advance(1000);
        expect(await leaseOffsets(1, { retry })).toEqual([1]);
        clock.advance(11_499);
        expect(await leaseOffsets(1, { retry })).toEqual([]);
        clock.advance(1);
        expect(only(await lease(1, { retry })).attempts).toEqual([3]);
      });

      it('hands out only what has had enough attempts when asked for that', async () => {
        await appendMany(2);
        const block = only(await lease(2));
        await store.nack(sub, [ref(block, 0)], { ...lax, retry: undefined, counted: true });
        const again = only(await lease(1));
        await store.nack(sub, [refAgain(again)], { ...lax, retry: undefined, counted: true });
        clock.advance(10_000);
        expect(await leaseOffsets(9, { attemptMin: 3 })).toEqual([1]);
        expect(await leaseOffsets(9)).toEqual([2]);
      });

      it('refuses an unknown subscription', async () => {
        const unknown = { subscription: 'projects/p/subscriptions/none', partition: 0 };
        await expect(store.lease(unknown, request(1))).rejects.toMatchObject(notFound);
        await expect(store.ack(unknown, [], lax)).rejects.toMatchObject(notFound);
      });
    });

    describe('ack', () => {
      it('ends a message for good, across a restart (I2)', async () => {
        await appendMany(3);
        const block = only(await lease(3));
        expect(await store.ack(sub, [ref(block, 1)], lax)).toEqual(['ok']);
        clock.advance(10_000);
        expect(await leaseOffsets(9)).toEqual([1, 3]);
        await restart();
        expect(await leaseOffsets(9)).toEqual([1, 3]);
      });

      it('answers stale for a reference into an older delivery (I4)', async () => {
        await appendMany(1);
        const old = only(await lease(1));
        clock.advance(10_000);
        const current = only(await lease(1));
        expect(await store.ack(sub, [ref(old, 0)], strict)).toEqual(['stale']);
        expect(await store.ack(sub, [ref(current, 0)], strict)).toEqual(['ok']);
        expect(await store.ack(sub, [ref(current, 0)], strict)).toEqual(['stale']);
      });

      it('is refused after the deadline when strict, taken while nobody else has the message when not', async () => {
        await appendMany(1);
        const block = only(await lease(1));
        clock.advance(10_000);
        expect(await store.ack(sub, [ref(block, 0)], strict)).toEqual(['stale']);
        expect(await store.ack(sub, [ref(block, 0)], lax)).toEqual(['ok']);
        expect(await leaseOffsets(1)).toEqual([]);
      });

      it('answers stale for references that never were', async () => {
        await appendMany(2);
        const block = only(await lease(1));
        const good = ref(block, 0);
        const wrong: LeaseRef[] = [
          { ...good, block: good.block + 1 },
          { ...good, index: 7 },
          { ...good, offset: 2 },
          { ...good, epoch: 9 },
        ];
        expect(await store.ack(sub, wrong, lax)).toEqual(['stale', 'stale', 'stale', 'stale']);
        expect(await leaseOffsets(9)).toEqual([2]);
      });

      it('cannot ack what was never written: a later message is not lost to a made-up reference (I3)', async () => {
        const { epoch } = await lease(1);
        expect(await store.ack(sub, [{ epoch, block: 0, index: 0, offset: 1 }], lax)).toEqual(['stale']);
        await append('a');
        expect(await leaseOffsets(1)).toEqual([1]);
      });

      it('keeps 10,000 scattered acks apart', async () => {
        await appendMany(10_000);
        const block = only(await lease(10_000));
        const odd = block.offsets.flatMap((offset, index) => (offset % 2 === 1 ? [ref(block, index)] : []));
        await store.ack(sub, odd, lax);
        await restart();
        const left = await leaseOffsets(10_000);
        expect(left).toHaveLength(5000);
        expect(left.every((offset) => offset % 2 === 0)).toBe(true);
      });
    });

    describe('deadline', () => {
      it('moves for one message without moving the others', async () => {
        await appendMany(3);
        const block = only(await lease(3));
        expect(await store.modifyDeadline(sub, [ref(block, 1)], 20_000, lax)).toEqual(['ok']);
        clock.advance(10_000);
        expect(await leaseOffsets(9)).toEqual([1, 3]);
        clock.advance(10_000);
        expect(await leaseOffsets(9)).toContain(2);
      });

      it('moves for a whole block, and may come closer', async () => {
        await appendMany(2);
        const block = only(await lease(2));
        await store.modifyDeadline(sub, [ref(block, 0), ref(block, 1)], 30_000, lax);
        clock.advance(29_999);
        expect(await leaseOffsets(9)).toEqual([]);
        await store.modifyDeadline(sub, [ref(block, 0), ref(block, 1)], 1, lax);
        clock.advance(1);
        expect(await leaseOffsets(9)).toEqual([1, 2]);
      });

      it('cannot be moved by a stale reference, nor past itself when strict', async () => {
        await appendMany(1);
        const block = only(await lease(1));
        clock.advance(10_000);
        expect(await store.modifyDeadline(sub, [ref(block, 0)], 5000, strict)).toEqual(['stale']);
        expect(await store.modifyDeadline(sub, [ref(block, 0)], 5000, lax)).toEqual(['ok']);
        expect(await leaseOffsets(1)).toEqual([]);
        clock.advance(5000);
        expect(await leaseOffsets(1)).toEqual([1]);
        expect(await store.modifyDeadline(sub, [ref(block, 0)], 5000, lax)).toEqual(['stale']);
      });
    });

    describe('nack', () => {
      const nack = (block: LeasedBlock, index: number, retry?: RetryPolicy, counted = true) =>
        store.nack(sub, [ref(block, index)], { ...lax, retry, counted });

      it('makes a message due at once, and its reference void', async () => {
        await appendMany(2);
        const block = only(await lease(2));
        expect(await nack(block, 0)).toEqual(['ok']);
        expect(await store.ack(sub, [ref(block, 0)], lax)).toEqual(['stale']);
        expect(only(await lease(9))).toMatchObject({ offsets: [1], attempts: [2] });
        expect(await store.ack(sub, [ref(block, 1)], lax)).toEqual(['ok']);
      });

      it('backs off by the retry policy, doubling with each attempt', async () => {
        await appendMany(1);
        const retry = { minimumBackoffMs: 1000, maximumBackoffMs: 3000 };
        for (const waitMs of [0, 1000, 2000, 3000, 3000]) {
          if (waitMs > 0) {
            clock.advance(waitMs - 1);
            expect(await leaseOffsets(1)).toEqual([]);
            clock.advance(1);
          }
          await nack(only(await lease(1)), 0, retry);
        }
      });

      it('does not count what was never tried', async () => {
        await appendMany(1);
        await nack(only(await lease(1)), 0, { minimumBackoffMs: 5000, maximumBackoffMs: 5000 }, false);
        expect(only(await lease(1)).attempts).toEqual([1]);
      });

      it('wakes whoever waits for messages', async () => {
        await appendMany(1);
        const block = only(await lease(1));
        const { woken, stop } = await listen();
        await nack(block, 0);
        await woken;
        stop();
      });
    });

    describe('ordering', () => {
      const lanes = (...ids: number[]) => ({ from: 1, count: ids.length, lanes: Uint32Array.from(ids) });

      it('keeps one run of a key out at a time (I5)', async () => {
        await appendMany(4);
        const first = only(await lease(2, { range: lanes(7, 7, 7, 7) }));
        expect(first.offsets).toEqual([1, 2]);
        const rest = { from: 3, count: 2, lanes: Uint32Array.from([7, 7]) };
        expect(await leaseOffsets(9, { range: rest })).toEqual([]);
        await store.ack(sub, [ref(first, 0)], lax);
        expect(await leaseOffsets(9)).toEqual([]);
        await store.ack(sub, [ref(first, 1)], lax);
        expect(await leaseOffsets(9)).toEqual([3, 4]);
      });

      it('lets other keys and unordered messages pass', async () => {
        await appendMany(5);
        expect(await leaseOffsets(1, { range: lanes(7, 7, 8, 0, 7) })).toEqual([1]);
        const rest = { from: 2, count: 4, lanes: Uint32Array.from([7, 8, 0, 7]) };
        expect(await leaseOffsets(9, { range: rest })).toEqual([3, 4]);
      });

      it('sends a nacked message back with every later one of its run, acked ahead or not (I5)', async () => {
        await appendMany(4);
        const block = only(await lease(9, { range: lanes(7, 7, 7, 7) }));
        expect(await store.ack(sub, [ref(block, 0), ref(block, 2)], lax)).toEqual(['ok', 'ok']);
        await store.nack(sub, [ref(block, 1)], { ...lax, retry: undefined, counted: true });
        expect(await store.ack(sub, [ref(block, 3)], lax)).toEqual(['stale']);
        const again = only(await lease(9));
        expect(again).toMatchObject({ offsets: [2, 3, 4], attempts: [2, 1, 1] });
      });

      it('holds what was sent back until the earlier messages of the run are settled', async () => {
        await appendMany(2);
        const block = only(await lease(9, { range: lanes(7, 7) }));
        await store.nack(sub, [ref(block, 1)], { ...lax, retry: undefined, counted: true });
        expect(await leaseOffsets(9)).toEqual([]);
        await store.ack(sub, [ref(block, 0)], lax);
        expect(await leaseOffsets(9)).toEqual([2]);
      });

      it('sends an expired run back in order and hands it out as one', async () => {
        await appendMany(3);
        await lease(9, { range: lanes(7, 7, 7) });
        clock.advance(10_000);
        expect(only(await lease(9))).toMatchObject({ offsets: [1, 2, 3], attempts: [2, 2, 2] });
      });

      it('refuses to ack ahead when strict, and says so', async () => {
        await appendMany(2);
        const block = only(await lease(9, { range: lanes(7, 7) }));
        expect(await store.ack(sub, [ref(block, 1)], strict)).toEqual(['unordered']);
        expect(await store.ack(sub, [ref(block, 0), ref(block, 1)], strict)).toEqual(['ok', 'ok']);
      });

      it('wakes whoever waits when an ack frees a key', async () => {
        await appendMany(2);
        const block = only(await lease(1, { range: lanes(7, 7) }));
        await leaseOffsets(9, { range: { from: 2, count: 1, lanes: Uint32Array.from([7]) } });
        const { woken, stop } = await listen();
        await store.ack(sub, [ref(block, 0)], lax);
        await woken;
        stop();
        expect(await leaseOffsets(9)).toEqual([2]);
      });
    });

    describe('seek and snapshots', () => {
      it('acks what is before the offset, unacks the rest, and voids every reference', async () => {
        await appendMany(4);
        const block = only(await lease(4));
        await store.ack(sub, [ref(block, 2)], lax);
        await store.seek(sub, 3);
        expect(await store.ack(sub, [ref(block, 3)], lax)).toEqual(['stale']);
        expect(await leaseOffsets(9)).toEqual([3, 4]);
        await restart();
        expect(await leaseOffsets(9)).toEqual([3, 4]);
      });

      it('restores the acked state that a snapshot kept', async () => {
        await appendMany(4);
        const block = only(await lease(4));
        await store.ack(sub, [ref(block, 0), ref(block, 2)], lax);
        await store.createSnapshot(snapshotNamed('n'), subName);
        await store.ack(sub, [ref(block, 1), ref(block, 3)], lax);
        await append('m5');
        await store.seekSnapshot(subName, snapshotNamed('n').name);
        expect(await leaseOffsets(9)).toEqual([2, 4, 5]);
        store = await under.reopen();
        await store.seekSnapshot(subName, snapshotNamed('n').name);
        expect(await leaseOffsets(9)).toEqual([2, 4, 5]);
      });

      it("refuses another topic's snapshot, an unknown one, and a name that is taken", async () => {
        await store.createTopic({ name: `${topicName}2`, labels: {} });
        await store.createSubscription(subscriptionNamed(`${subName}2`, { topic: `${topicName}2` }));
        await store.createSnapshot(snapshotNamed('n'), subName);
        const { name } = snapshotNamed('n');
        await expect(store.seekSnapshot(`${subName}2`, name)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
        await expect(store.seekSnapshot(subName, `${name}x`)).rejects.toMatchObject(notFound);
        await expect(store.createSnapshot(snapshotNamed('n'), subName)).rejects.toMatchObject(alreadyExists);
        await store.deleteSnapshot(name);
        expect(await store.snapshot(name)).toBeUndefined();
      });

      it('skips to an offset without disturbing later leases', async () => {
        await appendMany(4);
        const block = only(await lease(4));
        await store.skipTo(sub, 3);
        expect(await store.ack(sub, [ref(block, 3)], strict)).toEqual(['ok']);
        clock.advance(10_000);
        expect(await leaseOffsets(9)).toEqual([3]);
      });
    });

    describe('catalogue', () => {
      it('starts a subscription at the head, so that it gets what is published later (I3)', async () => {
        await appendMany(2);
        const late = { subscription: `${subName}-late`, partition: 0 };
        await store.createSubscription(subscriptionNamed(late.subscription));
        await append('m3');
        expect(offsetsOf(await lease(9, {}, late))).toEqual([3]);
      });

      it('keeps the backlog of a deleted topic, and gives a new topic of that name a new log', async () => {
        await appendMany(2);
        await store.deleteTopic(topicName);
        expect((await store.subscription(subName))?.subscription.topic).toBe('_deleted-topic_');
        expect(await leaseOffsets(1)).toEqual([1]);
        const anew = await store.createTopic({ name: topicName, labels: {} });
        expect(anew.topicId).not.toBe(log.topicId);
        expect(await leaseOffsets(9)).toEqual([2]);
      });

      it('drops the log of a deleted topic once nobody reads it', async () => {
        await appendMany(2);
        await store.deleteTopic(topicName);
        await store.trim(log, 1);
        expect(await store.listLogs()).toContainEqual(log);
        await store.deleteSubscription(subName);
        await store.trim(log, 3);
        expect(await store.listLogs()).not.toContainEqual(log);
      });

      it('refuses names that are taken and names that are unknown', async () => {
        await expect(store.createTopic({ name: topicName, labels: {} })).rejects.toMatchObject(alreadyExists);
        await expect(store.createSubscription(subscriptionNamed(subName))).rejects.toMatchObject(alreadyExists);
        await expect(store.deleteTopic(`${topicName}x`)).rejects.toMatchObject(notFound);
        await expect(store.deleteSubscription(`${subName}x`)).rejects.toMatchObject(notFound);
        await expect(store.updateTopic({ name: `${topicName}x`, labels: {} })).rejects.toMatchObject(notFound);
        const orphan = subscriptionNamed(`${subName}x`, { topic: `${topicName}x` });
        await expect(store.createSubscription(orphan)).rejects.toMatchObject(notFound);
      });

      it('creates a name once, however many ask at the same time', async () => {
        const asked = Array.from({ length: 5 }, () => store.createTopic({ name: `${topicName}5`, labels: {} }));
        const settled = await Promise.allSettled(asked);
        expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      });

      it('lists by prefix in order, page by page, across a restart', async () => {
        for (const n of [3, 1, 2]) await store.createTopic({ name: `projects/q/topics/t${n}`, labels: {} });
        store = await under.reopen();
        const names = async (after?: string) => {
          const page = await store.listTopics({ prefix: 'projects/q/', limit: 2, ...(after ? { after } : {}) });
          return { names: page.items.map(({ topic }) => topic.name.slice(-2)), more: page.more };
        };
        expect(await names()).toEqual({ names: ['t1', 't2'], more: true });
        expect(await names('projects/q/topics/t2')).toEqual({ names: ['t3'], more: false });
      });

      it('tells who listens which name changed', async () => {
        const changed: (string | undefined)[] = [];
        store.onCatalogChange((name) => changed.push(name));
        await store.updateTopic({ name: topicName, labels: { a: 'b' } });
        await store.deleteTopic(topicName);
        expect(changed).toEqual([topicName, topicName, subName]);
      });

      it('forgets everything of a deleted subscription', async () => {
        await appendMany(2);
        await store.ack(sub, [ref(only(await lease(1)), 0)], lax);
        await store.deleteSubscription(subName);
        await store.createSubscription(subscriptionNamed(subName));
        await expectStats({ backlog: 0, outstanding: 0 });
        await append('m3');
        expect(await leaseOffsets(9)).toEqual([3]);
      });
    });

    describe('partitions', () => {
      it('are logs and leases of their own, with stats that add up', async () => {
        const { topicId } = await store.createTopic({ name: `${topicName}4`, labels: {} }, 4);
        await store.createSubscription(subscriptionNamed(`${subName}4`, { topic: `${topicName}4` }));
        await store.append({ topicId, partition: 1 }, [record('a')]);
        await store.append({ topicId, partition: 3 }, [record('b'), record('c')]);
        expect(offsetsOf(await lease(9, {}, { subscription: `${subName}4`, partition: 3 }))).toEqual([1, 2]);
        expect(await store.stats(`${subName}4`)).toMatchObject({ backlog: 3, outstanding: 2 });
      });
    });

    describe('stats', () => {
      it('tell backlog, outstanding, age and size', async () => {
        const startMs = clock();
        await append('x'.repeat(100));
        clock.advance(1000);
        await append('x'.repeat(100), 'x'.repeat(100));
        expect(await store.stats(subName)).toEqual({
          backlog: 3,
          outstanding: 0,
          oldestUnackedMs: startMs,
          bytes: 3 * 104,
        });
        await store.ack(sub, [ref(only(await lease(1)), 0)], lax);
        expect(await store.stats(subName)).toEqual({
          backlog: 2,
          outstanding: 0,
          oldestUnackedMs: startMs + 1000,
          bytes: 2 * 104,
        });
      });
    });

    describe('tables', () => {
      it('keep values, by key, across a restart', async () => {
        const table = store.table<{ n: number }>('things');
        for (const key of ['b/1', 'a/1', 'a/2']) await table.put(key, { n: key.length });
        await store.table('others').put('a/3', 'x');
        await table.delete('b/1');
        store = await under.reopen();
        const again = store.table<{ n: number }>('things');
        expect(await again.get('a/1')).toEqual({ n: 3 });
        expect(await again.get('b/1')).toBeUndefined();
        const page = await again.list({ prefix: 'a/', limit: 1 });
        expect(page).toEqual({ items: [{ key: 'a/1', value: { n: 3 } }], more: true });
        expect((await again.list({ prefix: 'a/', after: 'a/1', limit: 9 })).items).toHaveLength(1);
      });
    });

    describe('attempts', () => {
      it('above one survive a restart where they are wanted', async () => {
        await appendMany(2);
        const block = only(await lease(2, { keepAttempts: true }));
        await store.nack(sub, [ref(block, 0)], { ...lax, retry: undefined, counted: true });
        await lease(1, { keepAttempts: true });
        await append('m3'); // its commit saves the attempt too
        await restart();
        // Where leases survive, the second message was out until its deadline, too.
        const again = under.leasesSurvive ? [3, 2, 1] : [3, 1, 1];
        expect(attemptsOf(await lease(9, { keepAttempts: true }))).toEqual(again);
      });
    });

    describe('at the same moment', () => {
      it('a seek and the deletion of its subscription are both answered, and the store goes on', async () => {
        await appendMany(2);
        await Promise.allSettled([store.seek(sub, 1), store.deleteSubscription(subName), append('m3')]);
        expect(await store.subscription(subName)).toBeUndefined();
        expect((await append('m4')).firstOffset).toBe(4);
      });

      it('a seek to a snapshot that is being deleted leaves the log as it was (I1, I10)', async () => {
        await append('a');
        const { name } = snapshotNamed('n');
        await store.createSnapshot(snapshotNamed('n'), subName);
        const appended = await Promise.allSettled([
          store.deleteSnapshot(name),
          store.seekSnapshot(subName, name),
          append('b'),
        ]);
        expect(appended[2]).toMatchObject({ status: 'fulfilled', value: { firstOffset: 2 } });
        expect((await append('c')).firstOffset).toBe(3);
        store = await under.reopen();
        expect(await texts(store, log, 1)).toEqual(['a', 'b', 'c']);
      });

      it('a read meets no half-done trim', async () => {
        for (let i = 0; i < 50; i++) await append(`m${i}`);
        await store.skipTo(sub, 51);
        let trimming = true;
        const trims = (async () => {
          for (let offset = 2; offset <= 50; offset++) await store.trim(log, offset);
          trimming = false;
        })();
        while (trimming) {
          const [batch] = await store.read(log, 1, 1);
          expect(batch!.firstOffset).toBeGreaterThan(0);
          await new Promise(setImmediate);
        }
        await trims;
        expect(await texts(store, log, 1)).toEqual(['m49']);
      });
    });

    it('above one survive a restart for a message that is parked behind its key, too', async () => {
      await appendMany(2);
      const range = { from: 1, count: 2, lanes: Uint32Array.from([7, 7]) };
      const block = only(await lease(2, { keepAttempts: true, range }));
      await store.nack(sub, [ref(block, 0)], { ...lax, retry: undefined, counted: true });
      clock.advance(10_000);
      const again = only(await lease(2, { keepAttempts: true }));
      expect(again.attempts).toEqual([2, 1]);
      clock.advance(10_000);
      expect(only(await lease(2, { keepAttempts: true })).attempts).toEqual([3, 2]);
      await restart();
      const first = only(await lease(1, { keepAttempts: true, range }));
      expect(first.attempts).toEqual([4]);
      const rest = { from: 2, count: 1, lanes: Uint32Array.from([7]) };
      await lease(1, { keepAttempts: true, range: rest });
      await store.ack(sub, [ref(first, 0)], lax);
      expect(only(await lease(1, { keepAttempts: true })).attempts).toEqual([3]);
    });

    it('says what an acknowledgement is worth', async () => {
      expect(await store.health()).toMatchObject({ writable: true, durability: expect.stringMatching(/\w+/) });
    });

    it('answers UNAVAILABLE after it was closed', async () => {
      await store.close();
      await expect(append('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });

    async function expectStats(expected: { backlog: number; outstanding: number }): Promise<void> {
      expect(await store.stats(subName)).toMatchObject(expected);
    }
  });
}

interface LeaseOptions {
  retry?: RetryPolicy;
  attemptMin?: number;
  keepAttempts?: boolean;
  range?: NonNullable<LeaseRequest['fresh']>;
}

const notFound = { code: 'NOT_FOUND' };
const alreadyExists = { code: 'ALREADY_EXISTS' };

function request(messagesMax: number): LeaseRequest {
  return { messagesMax, ackDeadlineMs: 10_000, retry: undefined, keepAttempts: false };
}

function offsetsOf(grant: LeaseGrant): number[] {
  return grant.blocks.flatMap(({ offsets }) => offsets).sort((a, b) => a - b);
}

/** In the order of the offsets. */
function attemptsOf({ blocks }: LeaseGrant): number[] {
  const each = blocks.flatMap(({ offsets, attempts }) =>
    offsets.map((offset, i) => ({ offset, attempt: attempts[i]! })),
  );
  return each.sort((a, b) => a.offset - b.offset).map(({ attempt }) => attempt);
}

function only(grant: LeaseGrant): LeasedBlock {
  expect(grant.blocks).toHaveLength(1);
  return grant.blocks[0]!;
}

function ref({ block, offsets }: LeasedBlock, index: number, epoch = 0): LeaseRef {
  return { epoch, block, index, offset: offsets[index]! };
}

function refAgain(block: LeasedBlock): LeaseRef {
  return ref(block, 0);
}

function snapshotNamed(id: string) {
  return { name: `projects/p/snapshots/${id}`, topic: topicName, labels: {}, expireMs: 0 };
}

async function texts(store: Store, log: LogRef, from: number): Promise<string[]> {
  const batches = await store.read(log, from, 1_000_000);
  return batches.flatMap((batch) => unpackRecords(batch).map((bytes) => Buffer.from(bytes).toString()));
}
