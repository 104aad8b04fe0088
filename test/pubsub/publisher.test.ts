import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectRefusal } from '../support/refusal.ts';
import {
  ackIdsOf,
  type Core,
  endCores,
  messageOf,
  openCore,
  telemetry,
  textOf,
  textsOf,
  topicName,
  worker,
} from './core.ts';

let core: Core;
beforeEach(async () => {
  core = await openCore();
});
afterEach(endCores);

const fleet = topicName('fleet');
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `m${i}`);
const records = async (topicId: string, partition: number) => {
  const batches = await core.store.read({ topicId, partition }, 1, 1_000_000);
  return batches.reduce((sum, { count }) => sum + count, 0);
};

describe('publish', () => {
  it('publish - answers one id per message, in order, each different from every other', async () => {
    await core.topic();
    const first = await core.publisher.publish(
      telemetry,
      numbered(3).map((text) => messageOf(text)),
    );
    const second = await core.publisher.publish(
      telemetry,
      numbered(2).map((text) => messageOf(text)),
    );
    const ids = [...first, ...second];
    expect(new Set(ids).size).toBe(5);
    expect([...ids].sort((a, b) => Number(a) - Number(b))).toEqual(ids);
  });

  it('publish - I1: what it answered for is there after a restart', async () => {
    await core.topic();
    await core.subscription();
    const ids = await core.send(['one', 'two']);
    await core.publisher.publishOne(telemetry, messageOf('three'));
    core = await core.restart();
    const messages = await core.take();
    expect(textsOf(messages)).toEqual(['one', 'two', 'three']);
    expect(messages.slice(0, 2).map(({ message }) => message.messageId)).toEqual(ids);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['an empty list', () => core.publisher.publish(telemetry, []), 'at least one'],
    [
      '1001 messages',
      () =>
        core.publisher.publish(
          telemetry,
          numbered(1001).map((t) => messageOf(t)),
        ),
      '1001 messages',
    ],
    ['an empty message', () => core.publisher.publish(telemetry, [messageOf('a'), messageOf('')]), 'Message 2:'],
    [
      'an empty message alone',
      () => core.publisher.publishOne(telemetry, messageOf('')),
      'data or at least one attribute',
    ],
    [
      'two ordering keys',
      () => core.publisher.publish(telemetry, [messageOf('a', { orderingKey: 'a' }), messageOf('b')]),
      'Message 2 has another ordering key',
    ],
    [
      'more than 10 MB together',
      () =>
        core.publisher.publish(
          telemetry,
          Array.from({ length: 11 }, () => messageOf('x'.repeat(1_000_000))),
        ),
      'at most 10000000',
    ],
    [
      'more than 10 MB in one message',
      () => core.publisher.publishOne(telemetry, { ...messageOf(''), data: Buffer.alloc(10_000_001) }),
      'at most 10000000',
    ],
  ])('publish - I9: %s is refused and nothing of it is stored', async (_what, publish, says) => {
    await core.topic();
    await core.subscription();
    await expectRefusal(publish, 'INVALID_ARGUMENT', says);
    expect(await core.take()).toEqual([]);
    expect(core.counters()).toMatchObject({ publishesRefused: 1, publishedMessages: 0 });
  });

  it('publish - takes 1000 messages, and one of almost 10 MB', async () => {
    await core.topic();
    await core.subscription();
    expect(
      await core.publisher.publish(
        telemetry,
        numbered(1000).map((text) => messageOf(text)),
      ),
    ).toHaveLength(1000);
    await core.publisher.publishOne(telemetry, { ...messageOf(''), data: Buffer.alloc(9_999_999) });
    expect(await core.take(1000)).toHaveLength(1000);
    expect((await core.take())[0]!.message.data).toHaveLength(9_999_999);
  });

  it('publish - I9: a topic that does not exist is NOT_FOUND', async () => {
    await expectRefusal(() => core.publisher.publish(telemetry, [messageOf('a')]), 'NOT_FOUND', telemetry);
    await expectRefusal(() => core.publisher.publishOne(telemetry, messageOf('a')), 'NOT_FOUND', telemetry);
    await core.topic(); // and a topic that is made afterwards is found
    await core.publisher.publishOne(telemetry, messageOf('a'));
  });

  it('publish - goes to the topic that has the name now', async () => {
    await core.topic();
    await core.publisher.publishOne(telemetry, messageOf('to the first'));
    await core.topics.delete(telemetry);
    await expectRefusal(() => core.publisher.publishOne(telemetry, messageOf('to none')), 'NOT_FOUND');
    await core.topic();
    await core.subscription();
    await core.publisher.publishOne(telemetry, messageOf('to the second'));
    expect(textsOf(await core.take())).toEqual(['to the second']);
  });

  it('publish - a message whose buffer is used again by its owner is stored as it was', async () => {
    await core.topic();
    await core.subscription();
    const data = Buffer.from('mine');
    const stored = core.publisher.publishOne(telemetry, { ...messageOf(''), data });
    data.fill('x');
    await stored;
    expect(textsOf(await core.take())).toEqual(['mine']);
  });

  it('publish - I7: messages are stored in the order they were handed in, known topic or not', async () => {
    await core.topic();
    await core.subscription();
    const stored: Promise<unknown>[] = [];
    const publish = (i: number) => stored.push(core.publisher.publishOne(telemetry, messageOf(`m${i}`)));
    for (let i = 0; i < 50; i++) {
      publish(i);
      if (i % 3 === 0) await Promise.resolve(); // some before the topic is known, some while, some after
      if (i === 30) void core.topics.update({ name: telemetry, labels: { a: 'b' } }, ['labels']);
    }
    await Promise.all(stored);
    expect(textsOf(await core.take())).toEqual(numbered(50));
  });

  it('publish - keeps each ordering key in one partition and spreads the rest', async () => {
    await core.topic(fleet, {}, 4);
    const { topicId } = (await core.store.topic(fleet))!;
    for (let i = 0; i < 8; i++) await core.publisher.publish(fleet, [messageOf('a', { orderingKey: 'device-7' })]);
    const keyed = await Promise.all([0, 1, 2, 3].map((partition) => records(topicId, partition)));
    expect([...keyed].sort()).toEqual([0, 0, 0, 8]);
    for (let i = 0; i < 8; i++) await core.publisher.publish(fleet, [messageOf('a')]);
    const all = await Promise.all([0, 1, 2, 3].map((partition) => records(topicId, partition)));
    expect(all.map((count, partition) => count - keyed[partition]!)).toEqual([2, 2, 2, 2]);
  });

  it.each([1, 4])(
    'publish - I6: a dedupe key makes a repetition known, on %d partitions, until it is let go',
    async (partitions) => {
      await core.topic(telemetry, {}, partitions);
      await core.subscription();
      const at = { topic: telemetry, orderingKey: '' };
      for (let i = 0; i < 3; i++) await core.publisher.publishOne(telemetry, messageOf('once'), 'session/7');
      core = await core.restart();
      await core.publisher.publishOne(telemetry, messageOf('once'), 'session/7');
      expect(textsOf(await core.take())).toEqual(['once']);
      await core.publisher.forget('session/7', at);
      await core.publisher.publishOne(telemetry, messageOf('again'), 'session/7');
      await core.publisher.forget('session/7', undefined);
      await core.publisher.publishOne(telemetry, messageOf('and again'), 'session/7');
      expect((await core.take()).map(textOf).sort()).toEqual(['again', 'and again']);
    },
  );

  it('publish - I6: the dedupe keys of a topic that is gone are forgotten with it', async () => {
    await core.topic();
    await core.publisher.publishOne(telemetry, messageOf('once'), 'session/7');
    await core.topics.delete(telemetry);
    await core.publisher.forget('session/7', { topic: telemetry, orderingKey: '' });
    await core.topic();
    await core.subscription();
    await core.publisher.publishOne(telemetry, messageOf('anew'), 'session/7');
    expect(textsOf(await core.take())).toEqual(['anew']);
  });

  it('publish - warns once about a topic that nobody subscribes to, not about one that retains', async () => {
    await core.topic();
    await core.topic(fleet, { messageRetentionMs: 600_000 });
    for (let i = 0; i < 3; i++) {
      await core.publisher.publishOne(telemetry, messageOf('a'));
      await core.publisher.publishOne(fleet, messageOf('a'));
      await core.topics.update({ name: telemetry, labels: { i: `${i}` } }, ['labels']); // has the topic looked up anew
    }
    expect(core.warnings.map(({ topic }) => topic)).toEqual([telemetry]);
    expect(core.counters().unreadTopicsSeen).toBe(3);
    await core.subscription();
    await core.publisher.publishOne(telemetry, messageOf('a'));
    expect(core.counters().unreadTopicsSeen).toBe(3);
    await core.subscriptions.delete(worker);
    await core.publisher.publishOne(telemetry, messageOf('a'));
    expect(core.counters().unreadTopicsSeen).toBe(4);
    expect(core.warnings).toHaveLength(1);
  });

  it('publish - I8: remembers no more topics than its bound, and forgets none of their messages', async () => {
    await core.end();
    core = await openCore({ topicHandlesMax: 2 });
    const topics = ['one', 'two', 'three'].map(topicName);
    for (const name of topics) await core.topic(name);
    for (let i = 0; i < 4; i++) for (const name of topics) await core.publisher.publishOne(name, messageOf('a'));
    expect(core.counters()).toMatchObject({ publishedMessages: 12, topicHandles: 2, topicHandleEvictions: 10 });
  });

  it('publish - counts a store that fails, and says so to the publisher', async () => {
    await core.topic();
    await core.publisher.publishOne(telemetry, messageOf('a'));
    await core.store.close();
    await expectRefusal(() => core.publisher.publishOne(telemetry, messageOf('b')), 'UNAVAILABLE');
    await expectRefusal(() => core.publisher.publish(telemetry, [messageOf('c')]), 'UNAVAILABLE');
    expect(core.counters()).toMatchObject({ publishedMessages: 1, publishFailures: 2 });
  });

  it('publish - a subscription with 1000 leased messages acks them in one call', async () => {
    await core.topic();
    await core.subscription();
    await core.publisher.publish(
      telemetry,
      numbered(1000).map((text) => messageOf(text)),
    );
    const results = await core.subscriber.acknowledge(worker, ackIdsOf(await core.take(1000)));
    expect(new Set(results)).toEqual(new Set(['ok']));
  });
});
