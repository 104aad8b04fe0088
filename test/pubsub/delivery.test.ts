import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectRefusal } from '../support/refusal.ts';
import {
  ackIdsOf,
  type Core,
  endCores,
  messageOf,
  minuteMs,
  openCore,
  secondMs,
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

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `m${from + i}`);
const publishAll = (texts: readonly string[], attributes: Record<string, string> = {}, topic = telemetry) =>
  core.publisher.publish(
    topic,
    texts.map((text) => messageOf(text, { attributes })),
  );

describe('delivery', () => {
  it('delivery - I3: hands out what was published after the subscription was made, in order, whole', async () => {
    await core.send(['before']);
    await core.subscription();
    const attributes = { deviceId: 'd1', constructor: 'y' };
    const [id] = await core.publisher.publish(telemetry, [messageOf('one', { attributes, orderingKey: 'k' })]);
    await core.send(['two']);
    const [one, two, ...rest] = await core.take();
    expect(one!.message).toEqual({
      data: Buffer.from('one'),
      attributes,
      orderingKey: 'k',
      messageId: id,
      publishMs: core.time.clock(),
    });
    expect(one!.deliveryAttempt).toBe(0);
    expect(textsOf([two!])).toEqual(['two']);
    expect(rest).toEqual([]);
  });

  it('delivery - I3: every subscription gets every message', async () => {
    const names = ['first', 'second', 'third'].map(subscriptionName);
    for (const name of names) await core.subscription({ name });
    await publishAll(numbered(10));
    for (const name of names) expect(textsOf(await core.take(100, name))).toEqual(numbered(10));
  });

  it('delivery - I2 I4: a message is out once, and gone for good when it is acked', async () => {
    await core.subscription();
    await core.send(['one', 'two']);
    const messages = await core.take();
    expect(await core.take()).toEqual([]);
    expect(await core.ack(messages.slice(0, 1))).toEqual(['ok']);
    core.time.advance(10 * secondMs);
    expect(textsOf(await core.take())).toEqual(['two']);
    core = await core.restart();
    expect(textsOf(await core.take())).toEqual(['two']);
  });

  it('delivery - I4: past its deadline a message is out again, under a new ack id', async () => {
    await core.subscription({ ackDeadlineMs: 20 * secondMs });
    await core.send(['one']);
    const [first] = await core.take();
    core.time.advance(20 * secondMs - 1);
    expect(await core.take()).toEqual([]);
    core.time.advance(1);
    const [second] = await core.take();
    expect(second!.message.messageId).toBe(first!.message.messageId);
    expect(second!.ackId).not.toBe(first!.ackId);
  });

  it('delivery - a caller may ask for a deadline of its own', async () => {
    await core.subscription();
    await core.send(['one']);
    await core.subscriber.lease(worker, { messagesMax: 1, bytesMax: 1000, ackDeadlineMs: 60 * secondMs });
    core.time.advance(59 * secondMs);
    expect(await core.take()).toEqual([]);
    core.time.advance(secondMs);
    expect(await core.take()).toHaveLength(1);
  });

  it('delivery - a deadline can be moved, per message', async () => {
    await core.subscription();
    await core.send(['one', 'two']);
    const [one] = await core.take();
    expect(await core.subscriber.modifyAckDeadline(worker, [one!.ackId], 600 * secondMs)).toEqual(['ok']);
    core.time.advance(10 * secondMs);
    expect(textsOf(await core.take())).toEqual(['two']);
    core.time.advance(590 * secondMs);
    expect(textsOf(await core.take())).toEqual(['one', 'two']);
  });

  it('delivery - a nack makes a message due at once when there is no retry policy', async () => {
    await core.subscription();
    await core.send(['one', 'two']);
    const messages = await core.take();
    expect(await core.nack(messages.slice(1))).toEqual(['ok']);
    expect(textsOf(await core.take())).toEqual(['two']);
  });

  it('delivery - a retry policy lets a message rest for longer after each failure', async () => {
    const retry = { minimumBackoffMs: 10 * secondMs, maximumBackoffMs: 30 * secondMs };
    await core.subscription({ retry });
    await core.send(['one']);
    let messages = await core.take();
    for (const restMs of [10, 20, 30, 30].map((seconds) => seconds * secondMs)) {
      await core.nack(messages);
      core.time.advance(restMs - 1);
      expect(await core.take()).toEqual([]);
      core.time.advance(1);
      messages = await core.take();
      expect(textsOf(messages)).toEqual(['one']);
    }
    core.time.advance(10 * secondMs + 30 * secondMs - 1); // an expired message rests too
    expect(await core.take()).toEqual([]);
    core.time.advance(1);
    expect(await core.take()).toHaveLength(1);
  });

  it('delivery - on an ordinary subscription an ack that is too late is still welcome', async () => {
    await core.subscription();
    await core.send(['one']);
    const first = await core.take();
    core.time.advance(10 * secondMs);
    const second = await core.take();
    expect(await core.ack(first)).toEqual(['ok']);
    expect(await core.ack(second)).toEqual(['ok']);
    expect(await core.ack(second)).toEqual(['ok']);
    core.time.advance(minuteMs);
    expect(await core.take()).toEqual([]);
  });

  it('delivery - hands out no more messages than are wanted, nor than the bound', async () => {
    await core.end();
    core = await openCore({ leaseMessagesMax: 8 });
    await core.topic();
    await core.subscription();
    await publishAll(numbered(20));
    expect(await core.take(5)).toHaveLength(5);
    expect(textsOf(await core.take(1000))).toEqual(numbered(8, 5));
  });

  it('delivery - hands out no more bytes than are wanted, but always one message', async () => {
    await core.subscription();
    const text = 'x'.repeat(1000);
    await publishAll([text, text, text, text]);
    const lease = (bytesMax: number) => core.subscriber.lease(worker, { messagesMax: 10, bytesMax });
    expect(await lease(2500)).toHaveLength(2);
    expect(await lease(10)).toHaveLength(1);
    expect(core.counters().releasedMessages).toBe(0); // fresh ones that do not fit are not even leased
    core.time.advance(10 * secondMs);
    expect(await lease(2500)).toHaveLength(2); // redelivered ones too, and the rest is not held
    expect(await lease(2500)).toHaveLength(2);
    expect(await lease(2500)).toHaveLength(0);
  });

  it('delivery - what was leased and never sent can be given back, uncounted and at once', async () => {
    const dead = topicName('dead');
    await core.topic(dead);
    const retry = { minimumBackoffMs: 10 * secondMs };
    await core.subscription({ retry, deadLetter: { topic: dead } });
    await core.send(['one']);
    await core.subscriber.release(worker, ackIdsOf(await core.take()));
    const [again] = await core.take();
    expect(again!.deliveryAttempt).toBe(1);
    expect(core.counters().releasedMessages).toBe(1);
  });

  it('delivery - deliveryAttempt counts nacks and expiries when there is a dead-letter policy', async () => {
    const dead = topicName('dead');
    await core.topic(dead);
    await core.subscription({ deadLetter: { topic: dead } });
    await core.send(['one']);
    const attempts: number[] = [];
    for (let i = 0; i < 3; i++) {
      const messages = await core.take();
      attempts.push(messages[0]!.deliveryAttempt);
      if (i === 0) await core.nack(messages);
      else core.time.advance(10 * secondMs);
    }
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('delivery - goes on where it was after a restart', async () => {
    await core.subscription();
    await publishAll(numbered(10));
    await core.ack(await core.take(4));
    core = await core.restart();
    expect(textsOf(await core.take())).toEqual(numbered(6, 4));
  });

  it('delivery - every message of a topic with partitions is handed out once', async () => {
    const fleet = topicName('fleet');
    await core.topic(fleet, {}, 4);
    await core.subscription({ topic: fleet });
    for (let i = 0; i < 12; i++) await publishAll(numbered(5, i * 5), {}, fleet);
    const seen: string[] = [];
    for (let messages = await core.take(7); messages.length > 0; messages = await core.take(7)) {
      expect(messages.length).toBeLessThanOrEqual(7);
      seen.push(...textsOf(messages));
      expect(new Set(await core.ack(messages))).toEqual(new Set(['ok']));
    }
    expect(seen.sort()).toEqual(numbered(60).sort());
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 0, outstanding: 0 });
  });

  it('delivery - many callers at once never get the same message', async () => {
    await core.subscription();
    await publishAll(numbered(500));
    const leases = await Promise.all(Array.from({ length: 25 }, () => core.take(20)));
    expect(leases.map(({ length }) => length)).toEqual(new Array(25).fill(20));
    expect(leases.flatMap(textsOf).sort()).toEqual(numbered(500).sort());
  });

  it('delivery - a batch is read from the store once, however many subscriptions want it', async () => {
    const names = Array.from({ length: 20 }, (_, i) => subscriptionName(`reader-${i}`));
    for (const name of names) await core.subscription({ name });
    await core.send(numbered(50));
    for (const name of names) expect(await core.take(50, name)).toHaveLength(50);
    expect(core.counters().logFetches).toBe(1);
  });

  it('delivery - a message that was trimmed while it was out is not due again', async () => {
    await core.end();
    core = await openCore({ logCacheBytesMax: 0 }); // else it would still be at hand
    await core.topic();
    await core.subscription();
    await core.send(['old', 'new']);
    await core.take();
    const { topicId } = (await core.store.topic(telemetry))!;
    await core.store.trim({ topicId, partition: 0 }, 2);
    core.time.advance(10 * secondMs);
    expect(textsOf(await core.take())).toEqual(['new']);
    expect((await core.subscriptions.stats(worker)).backlog).toBe(1);
  });

  it('delivery - messages that were trimmed under the cursor are passed over', async () => {
    await core.subscription();
    await core.send(['old one', 'old two']);
    const held = await core.take(1);
    const { topicId } = (await core.store.topic(telemetry))!;
    await core.send(['new']);
    await core.store.trim({ topicId, partition: 0 }, 3);
    const fresh = await core.restart(); // nothing of it is cached any more
    core = fresh;
    expect(textsOf(await core.take())).toEqual(['new']);
    expect(await core.ack(held)).toEqual(['ok']);
    expect((await core.subscriptions.stats(worker)).backlog).toBe(1);
  });

  it.each([
    [0, 'at least 1'],
    [-5, 'at least 1'],
    [1.5, 'at least 1'],
  ])('delivery - I9: refuses to lease %d messages', async (messagesMax, says) => {
    await core.subscription();
    await expectRefusal(() => core.take(messagesMax), 'INVALID_ARGUMENT', says);
  });

  it('delivery - I9: a subscription that does not exist is NOT_FOUND for every call', async () => {
    const other = subscriptionName('other');
    await core.subscription();
    await core.send(['one']);
    const messages = await core.take();
    await expectRefusal(() => core.take(1, other), 'NOT_FOUND', other);
    await expectRefusal(() => core.ack(messages, other), 'NOT_FOUND');
    await expectRefusal(() => core.nack(messages, other), 'NOT_FOUND');
    await expectRefusal(() => core.subscriber.release(other, ackIdsOf(messages)), 'NOT_FOUND');
  });

  it('delivery - I9: one malformed ack id, or one of another subscription, and nothing is acked', async () => {
    const other = subscriptionName('other');
    await core.subscription();
    await core.subscription({ name: other });
    await core.send(['one']);
    const [mine] = await core.take();
    const [theirs] = await core.take(1, other);
    for (const wrong of ['nonsense', theirs!.ackId, `${mine!.ackId}0.`]) {
      await expectRefusal(() => core.subscriber.acknowledge(worker, [mine!.ackId, wrong]), 'INVALID_ARGUMENT');
    }
    await expectRefusal(() => core.subscriber.acknowledge(worker, []), 'INVALID_ARGUMENT', 'no ack ids');
    expect((await core.subscriptions.stats(worker)).backlog).toBe(1);
  });

  it.each([-1, 600 * secondMs + 1, Number.NaN])('delivery - I9: refuses an ack deadline of %d ms', async (ms) => {
    await core.subscription();
    await core.send(['one']);
    const ackIds = ackIdsOf(await core.take());
    const says = 'between 0s and 600s';
    await expectRefusal(() => core.subscriber.modifyAckDeadline(worker, ackIds, ms), 'INVALID_ARGUMENT', says);
  });

  it('delivery - ack ids of a subscription that was made anew are refused, not taken for new ones', async () => {
    await core.subscription();
    await core.send(['one']);
    const old = await core.take();
    await core.subscriptions.delete(worker);
    await core.subscription();
    await core.send(['two']);
    expect(textsOf(await core.take())).toEqual(['two']);
    await expectRefusal(() => core.ack(old), 'INVALID_ARGUMENT', 'not given out by');
  });
});
