import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectRefusal } from '../support/refusal.ts';
import {
  type Core,
  dayMs,
  endCores,
  minuteMs,
  openCore,
  project,
  secondMs,
  snapshotName,
  subscriptionName,
  telemetry,
  textsOf,
  topicName,
  worker,
} from './core.ts';

let core: Core;
beforeEach(async () => {
  core = await openCore();
  await core.topic();
});
afterEach(endCores);

const before = snapshotName('before');

/** Publishes each text at a time of its own, a second apart; returns those times. */
async function sendSpread(texts: readonly string[]): Promise<number[]> {
  const times: number[] = [];
  for (const text of texts) {
    core.time.advance(secondMs);
    times.push(core.time.clock());
    await core.send([text]);
  }
  return times;
}

describe('seek', () => {
  it('seek - to a time: what is older counts as acked, what is younger as unacked', async () => {
    await core.subscription({ retainAckedMessages: true });
    const [, second, third] = await sendSpread(['one', 'two', 'three']);
    await core.ack(await core.take());
    await core.subscriptions.seek(worker, { timeMs: second! });
    expect(textsOf(await core.take())).toEqual(['two', 'three']);
    await core.subscriptions.seek(worker, { timeMs: third! - 1 });
    expect(textsOf(await core.take())).toEqual(['three']);
  });

  it('seek - I4: ends every lease, and the old ack ids with them', async () => {
    await core.subscription({ enableExactlyOnceDelivery: true });
    const [first] = await sendSpread(['one', 'two']);
    const old = await core.take();
    await core.subscriptions.seek(worker, { timeMs: first! });
    expect(await core.ack(old)).toEqual(['invalid', 'invalid']);
    expect(textsOf(await core.take())).toEqual(['one', 'two']);
  });

  it('seek - to a time in the future purges', async () => {
    await core.subscription();
    await core.send(['one', 'two']);
    await core.take(1);
    await core.subscriptions.seek(worker, { timeMs: core.time.clock() + dayMs });
    expect(await core.take()).toEqual([]);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 0, outstanding: 0 });
    await core.send(['three']);
    expect(textsOf(await core.take())).toEqual(['three']);
  });

  it('seek - brings back nothing that is past the retention of the subscription, though the log has it', async () => {
    await core.subscription({ name: subscriptionName('archive'), messageRetentionMs: 7 * dayMs });
    await core.subscription({ messageRetentionMs: 10 * minuteMs, retainAckedMessages: true });
    await sendSpread(['old']);
    core.time.advance(10 * minuteMs);
    await sendSpread(['young']);
    await core.ack(await core.take());
    await core.subscriptions.seek(worker, { timeMs: 0 });
    expect(textsOf(await core.take())).toEqual(['young']);
  });

  it('seek - works on every partition', async () => {
    const fleet = topicName('fleet');
    await core.topic(fleet, {}, 3);
    await core.subscription({ topic: fleet });
    for (let i = 0; i < 9; i++) {
      await core.publisher.publish(fleet, [{ data: Buffer.from(`m${i}`), attributes: {}, orderingKey: '' }]);
    }
    await core.ack(await core.take());
    await core.subscriptions.seek(worker, { timeMs: 0 });
    expect(await core.take()).toHaveLength(9);
    await core.subscriptions.seek(worker, { timeMs: core.time.clock() + 1 });
    expect(await core.take()).toHaveLength(0);
  });

  it('seek - I9: refuses what it cannot do, with its code', async () => {
    await core.subscription();
    const seek = core.subscriptions.seek.bind(core.subscriptions);
    await expectRefusal(() => seek(subscriptionName('two'), { timeMs: 0 }), 'NOT_FOUND');
    await expectRefusal(() => seek(worker, { snapshot: before }), 'NOT_FOUND', before);
    await expectRefusal(() => seek(worker, { snapshot: 'before' }), 'INVALID_ARGUMENT');
    await expectRefusal(() => seek(worker, { timeMs: Number.NaN }), 'INVALID_ARGUMENT', 'time');
    await core.topic(topicName('other'));
    await core.subscription({ name: subscriptionName('other'), topic: topicName('other') });
    await core.snapshots.create(before, subscriptionName('other'), {});
    await expectRefusal(() => seek(worker, { snapshot: before }), 'FAILED_PRECONDITION', 'another topic');
  });
});

describe('snapshots', () => {
  it('snapshot - brings back exactly what was unacked when it was taken, and what came after', async () => {
    await core.subscription();
    await core.send(['one', 'two', 'three']);
    const messages = await core.take();
    await core.ack(messages.slice(1, 2));
    await core.snapshots.create(before, worker, { kind: 'backup' });
    await core.ack(messages);
    await core.send(['four']);
    await core.ack(await core.take());
    await core.subscriptions.seek(worker, { snapshot: before });
    expect(textsOf(await core.take())).toEqual(['one', 'three', 'four']);
  });

  it('snapshot - can be taken to another subscription of the same topic', async () => {
    const other = subscriptionName('other');
    await core.subscription();
    await core.subscription({ name: other });
    await core.send(['one', 'two']);
    await core.ack((await core.take()).slice(0, 1));
    await core.snapshots.create(before, worker, {});
    await core.subscriptions.seek(other, { snapshot: before });
    expect(textsOf(await core.take(10, other))).toEqual(['two']);
  });

  it('snapshot - lives for 7 days less the age of the oldest unacked message, then it is gone', async () => {
    await core.subscription({ messageRetentionMs: 7 * dayMs });
    await core.send(['one']);
    core.time.advance(2 * dayMs);
    const { expireMs } = await core.snapshots.create(before, worker, {});
    expect(expireMs).toBe(core.time.clock() + 5 * dayMs);
    core.time.advance(5 * dayMs - 1);
    await core.sweepRetention();
    expect((await core.snapshots.get(before)).expireMs).toBe(expireMs);
    core.time.advance(1);
    await core.sweepRetention();
    await expectRefusal(() => core.snapshots.get(before), 'NOT_FOUND', before);
    expect(core.counters().expiredSnapshots).toBe(1);
  });

  it('snapshot - creates, lists, updates and deletes', async () => {
    await core.subscription();
    const made = await core.snapshots.create(before, worker, { a: 'b' });
    expect(made).toEqual({
      name: before,
      topic: telemetry,
      labels: { a: 'b' },
      expireMs: core.time.clock() + 7 * dayMs,
    });
    expect(await core.snapshots.list({ project, pageSize: 0, pageToken: '' })).toEqual({
      items: [made],
      nextPageToken: '',
    });
    expect(await core.snapshots.update({ ...made, labels: {} }, ['labels'])).toEqual({ ...made, labels: {} });
    core = await core.restart();
    expect(await core.snapshots.get(before)).toEqual({ ...made, labels: {} });
    await core.snapshots.delete(before);
    await expectRefusal(() => core.snapshots.get(before), 'NOT_FOUND');
  });

  it('snapshot - I9: refuses what breaks a rule, with its code', async () => {
    await core.subscription({ messageRetentionMs: 31 * dayMs });
    const create = (name: string, of = worker, labels = {}) => core.snapshots.create(name, of, labels);
    await create(before);
    await expectRefusal(() => create(before), 'ALREADY_EXISTS', before);
    await expectRefusal(() => create('before'), 'INVALID_ARGUMENT');
    await expectRefusal(() => create(snapshotName('two'), subscriptionName('two')), 'NOT_FOUND');
    await expectRefusal(() => create(snapshotName('two'), worker, { A: '' }), 'INVALID_ARGUMENT', 'label');
    await expectRefusal(() => core.snapshots.delete(snapshotName('two')), 'NOT_FOUND');
    await core.send(['old']);
    core.time.advance(7 * dayMs - 59 * minuteMs);
    await expectRefusal(() => create(snapshotName('two')), 'FAILED_PRECONDITION', 'within an hour');
  });
});
