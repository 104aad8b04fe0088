import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partitionOfKey, partitionsLabel } from '../../src/domain/partitions.ts';
import { expectRefusal } from '../support/refusal.ts';
import {
  ackIdsOf,
  type Core,
  dayMs,
  endCores,
  messageOf,
  minuteMs,
  openCore,
  secondMs,
  snapshotName,
  subscriptionName,
  telemetry,
  textOf,
  textsOf,
  topicName,
  worker,
} from './core.ts';
import { secondNode } from './second-node.ts';

let core: Core;

beforeEach(async () => {
  core = await openCore();
});

afterEach(endCores);

/** Its message lies elsewhere when 1 partition becomes 4, and when 4 become 8. */
const moving = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find((key) => {
  return partitionOfKey(key, 4) !== 0 && partitionOfKey(key, 8) !== partitionOfKey(key, 4);
})!;
const keyed = (text: string, orderingKey = moving) => messageOf(text, { orderingKey });
const limits = { messagesMax: 100, bytesMax: 1_000_000 };
const partitionOf = (messageId: string) => Number(messageId) % 1024;

describe('partitions - a topic that grows at run time', () => {
  it('partitions - I3: what is published before, while and after a topic grows reaches every subscription', async () => {
    await core.topic();
    await core.subscription();
    await core.subscription({ name: subscriptionName('other') });
    const published: Promise<string[]>[] = [];
    const publish = (i: number) => published.push(core.publisher.publish(telemetry, [keyed(`m${i}`, `key ${i % 7}`)]));
    for (let i = 0; i < 20; i++) publish(i);
    const grown = core.topics.setPartitions(telemetry, 4);
    for (let i = 20; i < 60; i++) {
      publish(i);
      await Promise.resolve();
    }
    await grown;
    for (let i = 60; i < 80; i++) publish(i);
    const ids = (await Promise.all(published)).flat();
    expect(new Set(ids).size).toBe(80);
    expect(new Set(ids.slice(60).map(partitionOf)).size).toBeGreaterThan(1);
    for (const name of [worker, subscriptionName('other')]) {
      expect((await core.take(100, name)).map(textOf).sort()).toEqual(numbered(80).sort());
    }
  });

  it('partitions - I7: a key that moves keeps its order, through a node that learns of it from its refusals', async () => {
    await core.topic();
    const node = secondNode(core);
    await node.publisher.publish(telemetry, [keyed('m0')]); // it knows of one partition from now on
    await core.topics.setPartitions(telemetry, 4);
    const calls: Promise<string[]>[] = [];
    for (let i = 1; i < 40; i++) {
      const message = i % 3 === 0 ? messageOf(`m${i}`) : keyed(`m${i}`);
      calls.push(node.publisher.publish(telemetry, [message]));
      if (i % 5 === 0) await Promise.resolve();
      if (i === 20) node.hear();
    }
    const ids = (await Promise.all(calls)).flat();
    const ofKey = ids.filter((_, index) => (index + 1) % 3 !== 0).map(Number);
    expect(new Set(ofKey.map((id) => id % 1024))).toEqual(new Set([partitionOfKey(moving, 4)]));
    expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b));
    expect(node.counters().publishesPlacedAgain).toBeGreaterThan(0);
    await node.close();
  });

  it('partitions - I7: nobody overtakes what is still on its way to where the key was before', async () => {
    await core.topic();
    await core.subscription();
    const node = secondNode(core);
    await node.publisher.publishOne(telemetry, keyed('m0'));
    node.hold();
    const first = node.publisher.publishOne(telemetry, keyed('m1'));
    await core.topics.setPartitions(telemetry, 4);
    node.hear();
    const second = node.publisher.publishOne(telemetry, keyed('m2'));
    await nextLoopTurn(); // by now the second knows where the key went
    node.release();
    await Promise.all([first, second]);
    const moved = (await core.take()).filter(({ message }) => partitionOf(message.messageId) !== 0);
    expect(textsOf(moved)).toEqual(['m1', 'm2']);
    await node.close();
  });

  it('partitions - a pull that waits is not dropped, and gets what comes to a new partition', async () => {
    await core.topic();
    await core.subscription();
    const pull = core.subscriber.pull(worker, limits, new AbortController().signal);
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('new'));
    expect(textsOf(await pull)).toEqual(['new']);
    expect(core.counters()).toMatchObject({ waitingPulls: 0 });
  });

  it('partitions - a node that missed the word of other nodes looks everything up anew', async () => {
    await core.topic();
    await core.subscription();
    const node = secondNode(core);
    const first = node.subscriber.pull(worker, limits, new AbortController().signal);
    await core.publisher.publishOne(telemetry, keyed('old'));
    expect(textsOf(await first)).toEqual(['old']);
    const second = node.subscriber.pull(worker, limits, new AbortController().signal);
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('new'));
    node.hear('lost');
    core.time.advance(secondMs); // it looks again within that
    expect(textsOf(await second)).toEqual(['new']);
    await node.close();
  });

  it('partitions - I11: a node takes acknowledgements for partitions that it has not heard of', async () => {
    await core.topic();
    await core.subscription();
    const node = secondNode(core);
    await node.subscriber.lease(worker, limits);
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('new'));
    const ackIds = ackIdsOf(await core.take());
    expect(await node.subscriber.acknowledge(worker, ackIds)).toEqual(['ok']);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 0 });
    const forged = ackIds[0]!.replace(/^([^.]+)\.\w+\./, '$1.9.');
    await expectRefusal(() => node.subscriber.acknowledge(worker, [forged]), 'INVALID_ARGUMENT', 'not given out');
    await node.close();
  });

  it('partitions - pulls take from all of them in turn', async () => {
    await core.topic();
    await core.subscription();
    await core.topics.setPartitions(telemetry, 3);
    for (let i = 0; i < 30; i++) await core.publisher.publishOne(telemetry, messageOf(`m${i}`));
    const taken: number[] = [];
    for (let i = 0; i < 6; i++) {
      const [message] = await core.take(1);
      taken.push(partitionOf(message!.message.messageId));
    }
    expect(taken.slice(0, 3).toSorted()).toEqual([0, 1, 2]);
    expect(taken.slice(3).toSorted()).toEqual([0, 1, 2]);
  });

  it('partitions - I9: fewer are refused with a sentence, and so is a number that no topic has', async () => {
    await core.topic(telemetry, {}, 4);
    await expectRefusal(() => core.topics.setPartitions(telemetry, 2), 'FAILED_PRECONDITION', '4 partitions');
    await expectRefusal(() => core.topics.setPartitions(telemetry, 257), 'INVALID_ARGUMENT', '1 to 256');
    await expectRefusal(() => core.topics.setPartitions(topicName('none'), 2), 'NOT_FOUND');
    expect(await core.topics.partitions(telemetry)).toBe(4);
  });
});

describe('partitions - repetitions after a growth (I6)', () => {
  it.each([
    ['an ordering key', moving, 'session/7'],
    ['only its own', '', `session/${moving}`],
  ])(
    'partitions - I6: a dedupe key with %s meets its first after a growth, and a restart',
    async (_what, orderingKey, dedupe) => {
      await core.topic();
      await core.subscription();
      const publish = () => core.publisher.publishOne(telemetry, messageOf('once', { orderingKey }), dedupe);
      await publish();
      await core.topics.setPartitions(telemetry, 4);
      await publish();
      core = await core.restart();
      await publish();
      await core.topics.setPartitions(telemetry, 8);
      await publish();
      expect(textsOf(await core.take())).toEqual(['once']);
    },
  );

  it('partitions - I6: a repetition that meets a growth under way is stored once', async () => {
    await core.topic();
    await core.subscription();
    const node = secondNode(core);
    const publish = (at: typeof node | Core) => at.publisher.publishOne(telemetry, keyed('once'), 'session/7');
    const all = [publish(core), publish(node)];
    const grown = core.topics.setPartitions(telemetry, 4);
    for (let i = 0; i < 30; i++) {
      all.push(publish(i % 2 === 0 ? core : node));
      await Promise.resolve();
    }
    await grown;
    all.push(publish(core), publish(node));
    await Promise.all(all);
    expect(textsOf(await core.take())).toEqual(['once']);
    await node.close();
  });

  it('partitions - I6: a key that was let go after a growth is free again', async () => {
    await core.topic();
    await core.subscription();
    await core.publisher.publishOne(telemetry, keyed('first'), 'session/7');
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.forget('session/7', { topic: telemetry, orderingKey: moving });
    await core.publisher.publishOne(telemetry, keyed('second'), 'session/7');
    await core.publisher.forget('session/7', { topic: telemetry, orderingKey: moving });
    await core.publisher.publishOne(telemetry, keyed('third'), 'session/7');
    expect((await core.take()).map(textOf).sort()).toEqual(['first', 'second', 'third']);
  });

  it('partitions - I7: looking for a first does not let later messages of the key overtake', async () => {
    await core.topic();
    await core.topics.setPartitions(telemetry, 4);
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 30; i++) {
      calls.push(core.publisher.publishOne(telemetry, keyed(`m${i}`), i % 2 === 0 ? `session/${i}` : undefined));
      if (i % 4 === 0) await Promise.resolve();
    }
    await Promise.all(calls);
    await core.subscription();
    await core.subscriptions.seek(worker, { timeMs: 0 });
    expect(textsOf(await core.take())).toEqual(numbered(30));
    expect(core.counters().dedupeRecalls).toBe(15);
  });

  it('partitions - the old places are looked at for as long as a key may be remembered, and no longer', async () => {
    await core.topic();
    await core.subscription();
    await core.publisher.publishOne(telemetry, keyed('before'), 'session/1');
    await core.topics.setPartitions(telemetry, 4);
    core.time.advance(7 * dayMs);
    await core.publisher.publishOne(telemetry, keyed('within'), 'session/2');
    expect(core.counters().dedupeRecalls).toBe(1);
    core.time.advance(2 * dayMs);
    await core.topics.update({ name: telemetry, labels: { looked: 'up-anew' } }, ['labels']);
    await core.publisher.publishOne(telemetry, keyed('past'), 'session/3');
    expect(core.counters().dedupeRecalls).toBe(1);
  });
});

describe('partitions - what else covers all of them', () => {
  beforeEach(async () => {
    await core.topic();
  });

  it('partitions - retention passes over and trims on the new ones', async () => {
    await core.subscription({ messageRetentionMs: 10 * minuteMs });
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('old'));
    core.time.advance(11 * minuteMs);
    await core.sweepRetention();
    expect(await core.take()).toEqual([]);
    const { topicId } = (await core.store.topic(telemetry))!;
    const log = { topicId, partition: partitionOfKey(moving, 4) };
    expect(await core.store.watermarks(log)).toMatchObject({ first: 2, head: 2 });
  });

  it('partitions - a seek to a time and to a snapshot of before brings back what lies on the new ones', async () => {
    await core.subscription({ retainAckedMessages: true });
    await core.publisher.publishOne(telemetry, messageOf('old'));
    await core.ack(await core.take());
    await core.snapshots.create(snapshotName('before'), worker, {});
    core.time.advance(minuteMs);
    const grownMs = core.time.clock();
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('new'));
    await core.ack(await core.take());
    await core.subscriptions.seek(worker, { snapshot: snapshotName('before') });
    expect(textsOf(await core.take())).toEqual(['new']);
    await core.subscriptions.seek(worker, { timeMs: grownMs });
    expect(textsOf(await core.take())).toEqual(['new']);
    await core.subscriptions.seek(worker, { timeMs: 0 });
    expect((await core.take()).map(textOf).sort()).toEqual(['new', 'old']);
    await core.subscriptions.seek(worker, { timeMs: core.time.clock() + dayMs });
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 0 });
  });

  it('partitions - dead letters leave the new ones, and the sweep finds them there', async () => {
    const spent = topicName('spent');
    await core.topic(spent, {}, 4);
    await core.subscription({ deadLetter: { topic: spent, deliveryAttemptsMax: 5 }, ackDeadlineMs: 10_000 });
    await core.subscription({ name: subscriptionName('spent'), topic: spent });
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('bad'));
    for (let attempt = 1; attempt <= 5; attempt++) {
      expect(textsOf(await core.take())).toEqual(['bad']);
      core.time.advance(10_001);
    }
    await core.sweepDeadLetters();
    expect(textsOf(await core.take(10, subscriptionName('spent')))).toEqual(['bad']);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 0 });
  });

  it('partitions - a detached subscription is owed nothing on the new ones either', async () => {
    await core.subscription();
    await core.subscriptions.detach(worker);
    await core.topics.setPartitions(telemetry, 4);
    await core.publisher.publishOne(telemetry, keyed('new'));
    await core.sweepRetention();
    const { topicId } = (await core.store.topic(telemetry))!;
    const log = { topicId, partition: partitionOfKey(moving, 4) };
    expect(await core.store.watermarks(log)).toMatchObject({ first: 2, head: 2 });
  });
});

describe('partitions - by label, over the API of Google', () => {
  const labelled = (partitions: number | string) => ({ [partitionsLabel]: `${partitions}` });
  const update = (labels: Record<string, string>) => core.topics.update({ name: telemetry, labels }, ['labels']);

  it('partitions - a topic is made with as many as its label says, and the label is returned as it was given', async () => {
    await core.topic(telemetry, { labels: labelled(4) });
    expect(await core.topics.get(telemetry)).toMatchObject({ labels: labelled(4) });
    await core.topics.create({ name: topicName('by-label'), labels: labelled(3) });
    expect(await core.topics.partitions(topicName('by-label'))).toBe(3);
  });

  it('partitions - without a label it has as many as are configured', async () => {
    await core.end();
    core = await openCore({ topicPartitions: 5 });
    await core.topics.create({ name: telemetry, labels: {} });
    expect(await core.topics.partitions(telemetry)).toBe(5);
  });

  it('partitions - a larger number in an update grows the topic; none, or the same, leaves it as it is', async () => {
    await core.topic();
    await update(labelled(4));
    expect(await core.topics.partitions(telemetry)).toBe(4);
    await core.topics.setPartitions(telemetry, 6);
    await update({ ...labelled(4), team: 'river' });
    await update({});
    expect(await core.topics.partitions(telemetry)).toBe(6);
  });

  it('partitions - I9: a label that asks for fewer, or for no number, is refused and changes nothing', async () => {
    await core.topic(telemetry, { labels: { team: 'river' } }, 4);
    await expectRefusal(() => update(labelled(2)), 'FAILED_PRECONDITION', '4 partitions');
    await expectRefusal(() => update(labelled('many')), 'INVALID_ARGUMENT', partitionsLabel);
    const wrong = { name: topicName('wrong'), labels: labelled(0) };
    await expectRefusal(() => core.topics.create(wrong), 'INVALID_ARGUMENT', '1 to 256');
    expect(await core.topics.get(telemetry)).toMatchObject({ labels: { team: 'river' } });
  });
});

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `m${i}`);
}
