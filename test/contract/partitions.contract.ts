import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackRecords } from '../../src/domain/batch.ts';
import type { LeaseGrant, LeaseRef, LogRef, Store } from '../../src/store/store.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';
import { type OpenStoreUnderTest, type StoreUnderTest, subscriptionNamed } from './store.contract.ts';

const topicName = 'projects/p/topics/t';
const subName = 'projects/p/subscriptions/s';
const otherName = 'projects/p/subscriptions/other';
const snapshot = { name: 'projects/p/snapshots/n', topic: topicName, labels: {}, expireMs: Date.UTC(2030, 0, 1) };
const lax = { strict: false };

/** What growing a topic means, for every adapter. */
export function partitionsContract(adapter: string, open: OpenStoreUnderTest): void {
  describe(`${adapter} splits a topic over more partitions`, () => {
    let clock: VirtualClock;
    let under: StoreUnderTest;
    let store: Store;
    let topicId: string;

    beforeEach(async () => {
      clock = virtualClock();
      under = await open(clock);
      store = under.store;
      ({ topicId } = await store.createTopic({ name: topicName, labels: {} }, 2));
      await store.createSubscription(subscriptionNamed(subName));
    });

    afterEach(async () => {
      await under.remove();
    });

    const log = (partition: number): LogRef => ({ topicId, partition });
    const at = (partition: number, subscription = subName) => ({ subscription, partition });
    const append = (partition: number, texts: readonly string[], dedupe?: string, placedAmong?: number) =>
      store.append(log(partition), texts.map(record), dedupe, placedAmong);
    const head = async (partition: number) => (await store.watermarks(log(partition))).head;
    const stored = async (partition: number) => textsOf(store, log(partition));

    /** Everything that is there to have, from one partition. */
    async function lease(partition: number, subscription = subName, messagesMax = 1000): Promise<LeaseGrant> {
      const request = { messagesMax, ackDeadlineMs: 10_000, retry: undefined, keepAttempts: false };
      const { cursor, head: end } = await store.lease(at(partition, subscription), { ...request, messagesMax: 0 });
      return store.lease(at(partition, subscription), { ...request, fresh: { from: cursor, count: end - cursor } });
    }

    const offsets = async (partition: number, subscription = subName) =>
      offsetsOf(await lease(partition, subscription));

    async function ackAll(partition: number, subscription = subName): Promise<void> {
      const refs = refsOf(await lease(partition, subscription));
      await store.ack(at(partition, subscription), refs, lax);
    }

    it('the new logs are empty, and everybody who asks is told of them', async () => {
      await append(0, ['a']);
      await store.setPartitions(topicName, 4);
      expect((await store.topic(topicName))!.partitions).toBe(4);
      expect((await store.subscription(subName))!.partitions).toBe(4);
      const logs = (await store.listLogs()).filter((ref) => ref.topicId === topicId);
      expect(logs.map(({ partition }) => partition).sort()).toEqual([0, 1, 2, 3]);
      expect(await Promise.all([0, 1, 2, 3].map(head))).toEqual([2, 1, 1, 1]);
      expect((await append(3, ['b', 'c'])).firstOffset).toBe(1);
      expect(await stored(3)).toEqual(['b', 'c']);
    });

    it('I3: every subscription gets everything that comes to a new log, and keeps what it has of the old ones', async () => {
      await store.createSubscription(subscriptionNamed(otherName));
      await append(0, ['a', 'b']);
      await ackAll(0, otherName);
      await store.setPartitions(topicName, 3);
      await append(2, ['c']);
      await append(0, ['d']);
      expect([await offsets(0), await offsets(1), await offsets(2)]).toEqual([[1, 2, 3], [], [1]]);
      expect([await offsets(0, otherName), await offsets(2, otherName)]).toEqual([[3], [1]]);
    });

    it('I4: what is out when a topic grows stays out, and can be acked', async () => {
      await append(0, ['a', 'b']);
      const refs = refsOf(await lease(0));
      await store.setPartitions(topicName, 3);
      expect(await offsets(0)).toEqual([]);
      expect(await store.ack(at(0), refs, lax)).toEqual(['ok', 'ok']);
      expect(await store.stats(subName)).toMatchObject({ backlog: 0, outstanding: 0 });
    });

    it('stats are summed over old and new partitions', async () => {
      await append(0, ['a', 'b']);
      clock.advance(1000);
      await store.setPartitions(topicName, 4);
      await append(2, ['c']);
      await append(3, ['d', 'e', 'f']);
      await lease(3, subName, 2);
      const { oldestUnackedMs, ...stats } = await store.stats(subName);
      expect(stats).toMatchObject({ backlog: 6, outstanding: 2 });
      expect(oldestUnackedMs).toBe(clock() - 1000);
      for (const partition of [0, 2]) await ackAll(partition);
      expect(await store.stats(subName)).toMatchObject({ backlog: 3, outstanding: 2, oldestUnackedMs: clock() });
    });

    it('I9: fewer partitions are refused, as many change nothing, a topic that is not there is not found', async () => {
      await append(1, ['a']);
      await expect(store.setPartitions(topicName, 1)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('2'),
      });
      await store.setPartitions(topicName, 2);
      expect((await store.topic(topicName))!.partitions).toBe(2);
      expect(await offsets(1)).toEqual([1]);
      await expect(store.setPartitions('projects/p/topics/none', 3)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it('I5: an append that was placed among fewer partitions is ABORTED, and nothing of it is written', async () => {
      await append(0, ['a'], undefined, 2);
      await store.setPartitions(topicName, 3);
      await expect(append(0, ['b'], undefined, 2)).rejects.toMatchObject({ code: 'ABORTED' });
      await expect(append(0, ['b'], 'key', 2)).rejects.toMatchObject({ code: 'ABORTED' });
      expect((await append(0, ['c'], undefined, 3)).firstOffset).toBe(2);
      expect((await append(0, ['d'], 'key', 3)).duplicate).toBe(false); // the aborted one left no key behind
      expect((await append(1, ['e'])).firstOffset).toBe(1); // not placed by a key: any number will do
      expect(await stored(0)).toEqual(['a', 'c', 'd']);
    });

    it('I6: a repetition is recognised where its first was placed, although there are more partitions now', async () => {
      const first = await append(1, ['once'], 'key', 2);
      await store.setPartitions(topicName, 3);
      expect(await append(1, ['once'], 'key', 2)).toEqual({ ...first, duplicate: true });
      await store.forget(log(1), ['key']);
      await expect(append(1, ['once'], 'key', 2)).rejects.toMatchObject({ code: 'ABORTED' });
    });

    it('I5: appends that race with a growth are stored before it or ABORTED, in the order of the calls', async () => {
      const racing: Promise<string>[] = [];
      const race = (text: string) => {
        const outcome = append(0, [text], undefined, 2).then(
          () => 'stored',
          (error: { code: string }) => error.code,
        );
        racing.push(outcome);
      };
      for (let i = 0; i < 20; i++) race(`before ${i}`);
      const grown = store.setPartitions(topicName, 3).then(() => head(0));
      for (let i = 0; i < 20; i++) {
        race(`after ${i}`);
        if (i % 4 === 3) await nextLoopTurn();
      }
      const headThen = await grown;
      const outcomes = await Promise.all(racing);
      expect(new Set(outcomes)).toEqual(new Set(outcomes.includes('ABORTED') ? ['stored', 'ABORTED'] : ['stored']));
      expect(outcomes.lastIndexOf('stored')).toBe(outcomes.filter((outcome) => outcome === 'stored').length - 1);
      expect(await head(0)).toBe(headThen);
      expect(await stored(0)).toHaveLength(headThen - 1);
      await expect(append(0, ['late'], undefined, 2)).rejects.toMatchObject({ code: 'ABORTED' });
    });

    it('of a snapshot taken before, nothing on the new logs is acked; of one taken after, what was', async () => {
      await append(0, ['a', 'b']);
      await ackAll(0);
      await store.createSnapshot(snapshot, subName);
      await store.setPartitions(topicName, 3);
      await append(2, ['c', 'd']);
      expect((await store.watermarks(log(2))).snapshots).toEqual([{ name: snapshot.name, firstUnacked: 1 }]);
      await ackAll(2);
      const later = { ...snapshot, name: 'projects/p/snapshots/later' };
      await store.createSnapshot(later, subName);
      await append(2, ['e']);
      await store.seekSnapshot(subName, snapshot.name);
      expect([await offsets(0), await offsets(2)]).toEqual([[], [1, 2, 3]]);
      await store.seekSnapshot(subName, later.name);
      expect([await offsets(0), await offsets(2)]).toEqual([[], [3]]);
    });

    it('I10: a restart finds what there was', async () => {
      await store.createSnapshot(snapshot, subName);
      await store.setPartitions(topicName, 4);
      await append(3, ['a', 'b']);
      const [first] = refsOf(await lease(3));
      await store.ack(at(3), [first!], lax);
      store = await under.reopen();
      expect((await store.topic(topicName))!.partitions).toBe(4);
      await expect(append(0, ['c'], undefined, 3)).rejects.toMatchObject({ code: 'ABORTED' });
      expect(await store.stats(subName)).toMatchObject({ backlog: 1 });
      clock.advance(10_001); // a lease that outlived the restart ends
      expect(await offsets(3)).toEqual([2]);
      expect((await store.watermarks(log(3))).snapshots).toEqual([{ name: snapshot.name, firstUnacked: 1 }]);
    });

    it('who listens for changes is told of the topic and of each of its subscriptions', async () => {
      await store.createSubscription(subscriptionNamed(otherName));
      const waiting = new Set([topicName, subName, otherName]);
      const told = new Promise<void>((resolve) => {
        store.onCatalogChange((name) => {
          if (name !== undefined) waiting.delete(name);
          if (waiting.size === 0) resolve();
        });
      });
      await store.setPartitions(topicName, 3);
      await told;
    });

    it('a subscription that is made afterwards starts at the heads of all of them', async () => {
      await store.setPartitions(topicName, 3);
      await append(2, ['a']);
      await store.createSubscription(subscriptionNamed(otherName));
      await append(2, ['b']);
      expect(await offsets(2, otherName)).toEqual([2]);
      expect(await store.stats(otherName)).toMatchObject({ backlog: 1 });
    });

    it('a deleted subscription leaves nothing behind on the new ones', async () => {
      await store.setPartitions(topicName, 3);
      await append(2, ['a', 'b']);
      await lease(2);
      await store.deleteSubscription(subName);
      await store.createSubscription(subscriptionNamed(subName));
      expect(await store.stats(subName)).toMatchObject({ backlog: 0, outstanding: 0 });
      expect((await store.watermarks(log(2))).subscriptions).toEqual([{ name: subName, firstUnacked: 3 }]);
    });

    it('an append to a new log wakes whoever waits there', async () => {
      await store.setPartitions(topicName, 3);
      const woken = new Promise<void>((resolve) => {
        store.onWake(log(2), () => {
          void head(2).then((now) => now > 1 && resolve()); // spurious calls are allowed
        });
      });
      await append(2, ['a']);
      await woken;
    });

    it('grows again, as often as one likes', async () => {
      for (const partitions of [3, 7, 8]) {
        await store.setPartitions(topicName, partitions);
        await append(partitions - 1, [`of ${partitions}`], undefined, partitions);
      }
      expect([await stored(2), await stored(6), await stored(7)]).toEqual([['of 3'], ['of 7'], ['of 8']]);
      expect(await store.stats(subName)).toMatchObject({ backlog: 3 });
    });

    it('a deleted topic takes all its logs along, once nobody reads them', async () => {
      await store.setPartitions(topicName, 3);
      await append(2, ['a']);
      await store.deleteTopic(topicName);
      await expect(append(2, ['b'], undefined, 3)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(store.setPartitions(topicName, 4)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect(await offsets(2)).toEqual([1]);
      await store.deleteSubscription(subName);
      for (const partition of [0, 1, 2]) {
        const trimmed = head(partition).then((end) => store.trim(log(partition), end));
        await trimmed.catch(letGo);
      }
      expect((await store.listLogs()).filter((ref) => ref.topicId === topicId)).toEqual([]);
    });
  });
}

const record = (text: string) => Buffer.from(text);

/** The trim of one log of a deleted topic may take empty ones with it. */
function letGo(error: { code?: string }): void {
  if (error.code !== 'NOT_FOUND') throw error;
}

function refsOf({ epoch, blocks }: LeaseGrant): LeaseRef[] {
  return blocks.flatMap(({ block, offsets }) => offsets.map((offset, index) => ({ epoch, block, index, offset })));
}

const offsetsOf = (grant: LeaseGrant): number[] => refsOf(grant).map(({ offset }) => offset);

async function textsOf(store: Store, log: LogRef): Promise<string[]> {
  const texts: string[] = [];
  const { first, head } = await store.watermarks(log);
  for (let offset = first; offset < head; ) {
    for (const batch of await store.read(log, offset, 1_000_000)) {
      texts.push(...unpackRecords(batch).map((bytes) => Buffer.from(bytes).toString()));
      offset = batch.firstOffset + batch.count;
    }
  }
  return texts;
}
