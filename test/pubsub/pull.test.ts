import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReceivedMessage } from '../../src/pubsub/pubsub.ts';
import { expectRefusal } from '../support/refusal.ts';
import { type Core, endCores, messageOf, openCore, secondMs, telemetry, textsOf, topicName, worker } from './core.ts';

let core: Core;
beforeEach(async () => {
  core = await openCore();
  await core.topic();
});
afterEach(endCores);

const never = new AbortController().signal;
const pull = (messagesMax = 100, signal = never) =>
  core.subscriber.pull(worker, { messagesMax, bytesMax: 1_000_000 }, signal);

/** A pull that is in line, and has looked: its first look is over before the event loop turns. */
async function waitingPull(messagesMax = 100, signal = never): Promise<{ answer: Promise<ReceivedMessage[]> }> {
  const before = core.counters().waitingPulls;
  const answer = pull(messagesMax, signal);
  await new Promise(setImmediate);
  expect(core.counters().waitingPulls).toBe(before + 1);
  return { answer };
}

describe('pull', () => {
  it('pull - answers at once with what is there', async () => {
    await core.subscription();
    await core.send(['one', 'two']);
    expect(textsOf(await pull())).toEqual(['one', 'two']);
  });

  it('pull - waits for the next message', async () => {
    await core.subscription();
    const { answer } = await waitingPull();
    await core.send(['one']);
    expect(textsOf(await answer)).toEqual(['one']);
    expect(core.counters().waitingPulls).toBe(0);
  });

  it('pull - wakes for a message of any partition', async () => {
    const fleet = topicName('fleet');
    await core.topic(fleet, {}, 3);
    await core.subscription({ topic: fleet });
    for (const text of ['one', 'two', 'three', 'four']) {
      const { answer } = await waitingPull();
      await core.publisher.publish(fleet, [messageOf(text)]);
      expect(textsOf(await answer)).toEqual([text]);
    }
  });

  it('pull - wakes when a lease expires', async () => {
    await core.subscription();
    await core.send(['one']);
    await pull();
    const { answer } = await waitingPull();
    core.time.advance(10 * secondMs);
    expect(textsOf(await answer)).toEqual(['one']);
  });

  it('pull - wakes for a nack, and for its backoff to end', async () => {
    await core.subscription({ retry: { minimumBackoffMs: 30 * secondMs } });
    await core.send(['one']);
    const messages = await pull();
    const { answer } = await waitingPull();
    await core.nack(messages);
    core.time.advance(30 * secondMs);
    expect(textsOf(await answer)).toEqual(['one']);
  });

  it('pull - wakes when an ack frees the next messages of an ordering key', async () => {
    await core.subscription({ enableMessageOrdering: true });
    await core.send(['a1', 'a2'], 'a');
    const first = await pull(1);
    const { answer } = await waitingPull();
    await core.ack(first);
    expect(textsOf(await answer)).toEqual(['a2']);
  });

  it('pull - those who wait are served in the order they came', async () => {
    await core.subscription();
    const answers: Promise<ReceivedMessage[]>[] = [];
    for (let i = 0; i < 5; i++) answers.push((await waitingPull(1)).answer);
    for (let i = 0; i < 5; i++) {
      await core.send([`m${i}`]);
      expect(textsOf(await answers[i]!)).toEqual([`m${i}`]);
      expect(core.counters().waitingPulls).toBe(4 - i);
    }
  });

  it('pull - one publish of many serves many who wait', async () => {
    await core.subscription();
    const answers: Promise<ReceivedMessage[]>[] = [];
    for (let i = 0; i < 3; i++) answers.push((await waitingPull(2)).answer);
    await core.publisher.publish(
      telemetry,
      ['1', '2', '3', '4', '5', '6'].map((text) => messageOf(text)),
    );
    const received = await Promise.all(answers);
    expect(received.map(textsOf)).toEqual([
      ['1', '2'],
      ['3', '4'],
      ['5', '6'],
    ]);
  });

  it('pull - an aborted one answers with nothing and leaves nothing leased', async () => {
    await core.subscription();
    const abort = new AbortController();
    const { answer } = await waitingPull(100, abort.signal);
    abort.abort();
    expect(await answer).toEqual([]);
    await core.send(['one']);
    expect(await core.take()).toHaveLength(1);
    expect(await pull(1, AbortSignal.abort())).toEqual([]);
  });

  it('pull - I8: when the caller goes while messages are being leased they are given back, uncounted', async () => {
    const dead = topicName('dead');
    await core.topic(dead);
    await core.subscription({ deadLetter: { topic: dead } });
    await core.send(['one', 'two']);
    for (let microtasks = 0; microtasks < 30; microtasks++) {
      const abort = new AbortController();
      const answer = pull(100, abort.signal);
      for (let i = 0; i < microtasks; i++) await Promise.resolve();
      abort.abort();
      const messages = await answer;
      const held = messages.length > 0 ? messages : await pull(); // nobody holds them: the next one gets them
      expect(held.map(({ deliveryAttempt }) => deliveryAttempt)).toEqual([1, 1]);
      const ackIds = held.map(({ ackId }) => ackId);
      await core.subscriber.release(worker, ackIds);
    }
  });

  it('pull - I8: too many that wait are refused', async () => {
    await core.end();
    core = await openCore({ waitingPullsMax: 2 });
    await core.topic();
    await core.subscription();
    const first = await waitingPull();
    const second = await waitingPull();
    await expectRefusal(() => pull(), 'RESOURCE_EXHAUSTED', '2 pulls wait');
    await core.send(['one']);
    await core.send(['two']);
    expect((await Promise.all([first.answer, second.answer])).flatMap(textsOf)).toEqual(['one', 'two']);
  });

  it('pull - those who wait learn that the subscription was deleted, or detached', async () => {
    await core.subscription();
    const { answer } = await waitingPull();
    const refused = expectRefusal(() => answer, 'NOT_FOUND', worker);
    await core.subscriptions.delete(worker);
    await refused;
    await core.subscription();
    const again = await waitingPull();
    const refusedAgain = expectRefusal(() => again.answer, 'FAILED_PRECONDITION', 'detached');
    await core.subscriptions.detach(worker);
    await refusedAgain;
  });

  it('pull - those who wait on a deleted topic go on waiting, and are not disturbed', async () => {
    await core.subscription();
    const { answer } = await waitingPull();
    await core.topics.delete(telemetry);
    await core.subscriptions.get(worker);
    expect(core.counters().waitingPulls).toBe(1);
    await core.close();
    expect(await answer).toEqual([]);
  });

  it('pull - a seek wakes those who wait', async () => {
    await core.subscription();
    await core.send(['one']);
    const startMs = core.time.clock();
    await core.ack(await pull());
    const { answer } = await waitingPull();
    await core.subscriptions.seek(worker, { timeMs: startMs });
    expect(textsOf(await answer)).toEqual(['one']);
  });

  it('pull - closing answers those who wait with nothing', async () => {
    await core.subscription();
    const { answer } = await waitingPull();
    await core.close();
    expect(await answer).toEqual([]);
    expect(await pull()).toEqual([]);
  });

  it('pull - I8: a filter that takes nothing of a long backlog lets others have their turn', async () => {
    await core.end();
    core = await openCore({ scanMessagesMax: 10, leaseTurnsMax: 1 });
    await core.topic();
    await core.subscription({ filter: 'attributes:wanted' });
    for (let i = 0; i < 20; i++) {
      await core.publisher.publish(
        telemetry,
        Array.from({ length: 50 }, () => messageOf('no')),
      );
    }
    let turns = 0;
    const abort = new AbortController();
    const count = () => {
      turns++;
      if (!abort.signal.aborted) setImmediate(count);
    };
    setImmediate(count);
    const answer = pull(100, abort.signal);
    while ((await core.subscriptions.stats(worker)).backlog > 0) await new Promise(setImmediate);
    abort.abort();
    expect(await answer).toEqual([]);
    expect(turns).toBeGreaterThan(50); // 1000 messages, 10 at a look: about 100 looks, each its own turn
  });
});
