import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { trimOffset } from '../../src/domain/retention.ts';
import { Catalog } from '../../src/store/redis/catalog.ts';
import { Keys } from '../../src/store/redis/keys.ts';
import type { Link } from '../../src/store/redis/link.ts';
import { Logs } from '../../src/store/redis/log.ts';
import { SubscriptionStates } from '../../src/store/redis/subscription-state.ts';
import { Trimming } from '../../src/store/redis/trimming.ts';
import type { LogRef, Store } from '../../src/store/store.ts';
import { subscriptionNamed } from '../contract/store.contract.ts';
import { type BareLink, openBareLink } from '../support/bare-link.ts';
import { RedisServer } from '../support/redis-server.ts';
import { freshPrefix } from '../support/redis-under-test.ts';
import { makeLog, storeAt, topicName } from './store-at.ts';

const subscription = subscriptionNamed('projects/p/subscriptions/s');
const at = { subscription: subscription.name, partition: 0 };
const record = Buffer.from('m');
const snapshotNamed = (id: string) => ({
  name: `projects/p/snapshots/${id}`,
  topic: topicName,
  labels: {},
  expireMs: 0,
});

/** What another node does while this one sweeps: two steps, each between two commands of the sweep. */
interface Meanwhile {
  readonly what: string;
  /** Before the sweep. */
  readonly before?: (store: Store) => Promise<unknown>;
  readonly first: (store: Store, log: LogRef) => Promise<unknown>;
  readonly second: (store: Store, log: LogRef) => Promise<unknown>;
}

const { name: kept } = snapshotNamed('kept');
const meanwhiles: readonly Meanwhile[] = [
  {
    what: 'a subscription is made, and something is published',
    async before(store) {
      await store.deleteSnapshot(kept);
      await store.deleteSubscription(subscription.name);
    },
    first: (store) => store.createSubscription(subscriptionNamed('projects/p/subscriptions/late')),
    second: (store, log) => store.append(log, [record]),
  },
  {
    what: 'a seek goes back to a snapshot, which is deleted',
    first: (store) => store.seekSnapshot(subscription.name, kept),
    second: (store) => store.deleteSnapshot(kept),
  },
  {
    what: 'a seek goes back to a time',
    before: (store) => store.deleteSnapshot(kept),
    first: () => Promise.resolve(),
    second: async (store, log) => store.seek(at, (await store.watermarks(log)).first),
  },
  {
    what: 'what a seek brought back is kept by another snapshot, and acked',
    async first(store) {
      await store.seekSnapshot(subscription.name, kept);
      await store.createSnapshot(snapshotNamed('another'), subscription.name);
    },
    async second(store, log) {
      await store.skipTo(at, (await store.watermarks(log)).head);
      await store.deleteSnapshot(kept);
    },
  },
  {
    what: 'a snapshot is made and deleted after a seek to it',
    first: (store) => store.createSnapshot(snapshotNamed('another'), subscription.name),
    async second(store) {
      await store.seekSnapshot(subscription.name, snapshotNamed('another').name);
      await store.deleteSnapshot(snapshotNamed('another').name);
    },
  },
];

describe('redis trimming', () => {
  let redis: RedisServer;
  let store: Store;
  let prefix: string;
  let link: BareLink;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());
  beforeEach(() => {
    link = openBareLink(redis.port);
  });
  afterEach(() => void link.redis.disconnect());

  /** A log of five acked messages, which a snapshot still needs, and the node that changes things. */
  async function fiveAcked(): Promise<LogRef> {
    prefix = freshPrefix();
    store = await storeAt(redis.url, { prefix });
    const log = await makeLog(store);
    await store.createSubscription(subscription);
    for (let i = 0; i < 5; i++) await store.append(log, [record]);
    await store.createSnapshot(snapshotNamed('kept'), subscription.name);
    await store.skipTo(at, 6);
    return log;
  }

  for (const { what, before, first, second } of meanwhiles) {
    it(`redis trimming - takes nothing that is owed when on another node ${what}, whenever it does (I3)`, async () => {
      let calls = Number.POSITIVE_INFINITY;
      for (let one = 1; one <= calls; one++) {
        for (let two = one; two <= calls; two++) {
          const log = await fiveAcked();
          await before?.(store);
          const steps = [
            { before: one, step: () => first(store, log) },
            { before: two, step: () => second(store, log) },
          ];
          const sweeping = interrupted(link, steps);
          await sweep(sweeping.link, prefix, log);
          calls = sweeping.calls();
          await sweeping.rest();
          await expectAllKept(store, log);
          await store.close();
        }
      }
      expect(calls).toBeGreaterThan(7);
    });
  }

  it('redis trimming - lets go, at the next sweep, of what a seek had kept for a moment', async () => {
    const log = await fiveAcked();
    const steps = [{ before: 8, step: () => store.seek(at, 6) }];
    await store.deleteSnapshot(kept);
    await sweep(interrupted(link, steps).link, prefix, log);
    await sweep(link, prefix, log);
    expect(await store.watermarks(log)).toMatchObject({ first: 6, head: 6 });
    await store.close();
  });
});

/** As the retention sweep does. */
async function sweep(link: Link, prefix: string, log: LogRef): Promise<void> {
  const keys = new Keys(prefix);
  const trimming = new Trimming(new Catalog(link, keys), new Logs(link, keys), new SubscriptionStates(link, keys));
  const { head, subscriptions, snapshots } = await trimming.watermarks(log);
  const needs = subscriptions.map(({ firstUnacked }) => ({
    firstUnacked,
    firstRetained: 1,
    retainAckedMessages: false,
    detached: false,
  }));
  const marks = snapshots.map(({ firstUnacked }) => firstUnacked);
  await trimming.trim(log, trimOffset(head, undefined, needs, marks));
}

/** Everything that somebody has unacked is in the log, and so is the last message. */
async function expectAllKept(store: Store, log: LogRef): Promise<void> {
  const { first, head, subscriptions, snapshots } = await store.watermarks(log);
  for (const { name, firstUnacked } of [...subscriptions, ...snapshots]) {
    expect(firstUnacked, `${name} is owed ${firstUnacked}, the log begins at ${first}`).toBeGreaterThanOrEqual(first);
  }
  expect(await store.read(log, head - 1, 1)).toHaveLength(head > 6 || first < head ? 1 : 0);
}

interface Step {
  readonly before: number;
  readonly step: () => Promise<unknown>;
}

/** A link whose nth call waits until everything else has come as far as it can, and then for the steps before it. */
function interrupted(link: Link, steps: readonly Step[]) {
  let calls = 0;
  let underWay = 0;
  let done = 0;
  let last: Promise<unknown> = Promise.resolve();
  const upTo = async (call: number) => {
    for (; done < steps.length && steps[done]!.before <= call; done++) last = last.then(steps[done]!.step);
    await last;
  };
  const quiet = async () => {
    for (let turns = 0; turns < 3; turns++) {
      if (underWay > 0) turns = 0;
      await nextLoopTurn();
    }
  };
  const held = async <T>(send: () => Promise<T>): Promise<T> => {
    const call = ++calls;
    if (steps.some(({ before }) => before === call)) {
      await quiet();
      await upTo(call);
    }
    underWay++;
    return send().finally(() => underWay--);
  };
  const slow: Link = {
    ...link,
    run: (...args) => held(() => link.run(...args)),
    command: (...args) => held(() => link.command(...args)),
  };
  return { link: slow, calls: () => calls, rest: () => upTo(Number.POSITIVE_INFINITY) };
}
