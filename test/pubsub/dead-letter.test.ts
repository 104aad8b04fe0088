import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SubscriptionSettings } from '../../src/domain/subscription-settings.ts';
import {
  type Core,
  dayMs,
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

const dead = topicName('dead');
const mourner = subscriptionName('mourner');
const attempts = 5;

let core: Core;
beforeEach(async () => {
  core = await openCore();
  await core.topic();
  await core.topic(dead);
  await core.subscription({ name: mourner, topic: dead });
});
afterEach(endCores);

const policed = (settings: Partial<SubscriptionSettings> = {}) =>
  core.subscription({ deadLetter: { topic: dead }, ...settings });
const deadLetters = () => core.take(100, mourner);
const backlog = async () => (await core.subscriptions.stats(worker)).backlog;

/** Of the first message of `telemetry`, as `worker` forwards it. */
const dedupeKey = async () => `dead-letter/${(await core.store.subscription(worker))!.subscriptionId}/0/0/1`;

async function nackTimes(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const messages = await core.take();
    expect(messages[0]?.deliveryAttempt).toBe(i + 1);
    await core.nack(messages);
  }
}

async function expireTimes(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    expect((await core.take())[0]?.deliveryAttempt).toBe(i + 1);
    core.time.advance(10 * secondMs);
  }
}

describe('dead lettering', () => {
  it('dead letter - the nack of the last attempt moves the message, with where it came from', async () => {
    await policed();
    const publishMs = core.time.clock();
    await core.publisher.publish(telemetry, [messageOf('bad', { attributes: { deviceId: 'd1' }, orderingKey: 'd1' })]);
    await nackTimes(attempts);
    await core.sweepDeadLetters();
    const [letter, ...more] = await deadLetters();
    expect(more).toEqual([]);
    expect(letter!.message).toMatchObject({
      data: Buffer.from('bad'),
      orderingKey: 'd1',
      attributes: {
        deviceId: 'd1',
        CloudPubSubDeadLetterSourceSubscription: 'worker',
        CloudPubSubDeadLetterSourceSubscriptionProject: 'p',
        CloudPubSubDeadLetterSourceDeliveryCount: '5',
        CloudPubSubDeadLetterSourceTopicPublishTime: new Date(publishMs).toISOString(),
      },
    });
    expect(await backlog()).toBe(0);
    expect(await core.take()).toEqual([]);
    expect(core.counters()).toMatchObject({ deadLettersForwarded: 1, deadLetterFailures: 0 });
  });

  it('dead letter - leaves no dedupe key behind', async () => {
    await policed();
    await core.send(['bad']);
    await nackTimes(attempts);
    await core.sweepDeadLetters();
    await deadLetters();
    await core.publisher.publishOne(dead, messageOf('same key'), await dedupeKey());
    expect(textsOf(await deadLetters())).toEqual(['same key']);
  });

  it('dead letter - a waiting mourner gets it with no more than the nack', async () => {
    await policed({ retry: {} });
    await core.send(['bad']);
    const letter = core.subscriber.pull(mourner, { messagesMax: 1, bytesMax: 1000 }, AbortSignal.timeout(20_000));
    for (let i = 0; i < attempts; i++) {
      core.time.advance(10 * minuteMs); // the rest after a nack, of those that rest
      await core.sweepDeadLetters(); // so that it is no sweep of that time that sees the last nack
      await core.nack(await core.take());
    }
    expect(textsOf(await letter)).toEqual(['bad']);
  });

  it('dead letter - the expiry of the last attempt moves it though nobody pulls', async () => {
    await policed();
    await core.send(['bad']);
    await expireTimes(attempts - 1);
    const [last] = await core.take();
    expect(last?.deliveryAttempt).toBe(attempts);
    const letter = core.subscriber.pull(mourner, { messagesMax: 1, bytesMax: 1000 }, AbortSignal.timeout(20_000));
    core.time.advance(12 * secondMs); // its deadline, and the tick of the sweep
    expect(textsOf(await letter)).toEqual(['bad']);
    expect(await backlog()).toBe(0);
  });

  it('dead letter - a lease that comes upon a spent message moves it and hands out the rest', async () => {
    await policed();
    await core.send(['bad']);
    await expireTimes(attempts);
    await core.send(['good']);
    expect(textsOf(await core.take())).toEqual(['good']);
    expect(textsOf(await deadLetters())).toEqual(['bad']);
  });

  it('dead letter - a message of an ordering key moves out of the way of the next', async () => {
    await policed({ enableMessageOrdering: true });
    await core.send(['a1', 'a2'], 'a');
    for (let i = 0; i < attempts; i++) await core.nack((await core.take()).slice(0, 1));
    await core.sweepDeadLetters();
    expect(textsOf(await deadLetters())).toEqual(['a1']);
    expect((await core.take()).map((message) => [...textsOf([message]), message.deliveryAttempt])).toEqual([['a2', 1]]);
  });

  it('dead letter - an ack of the last attempt leaves nothing to move', async () => {
    await policed();
    await core.send(['slow']);
    await nackTimes(attempts - 1);
    await core.ack(await core.take());
    core.time.advance(minuteMs);
    await core.sweepDeadLetters();
    expect(await deadLetters()).toEqual([]);
  });

  it('dead letter - I3: while the dead letter topic is missing the message stays and is delivered on', async () => {
    await policed();
    await core.topics.delete(dead);
    await core.send(['bad']);
    await nackTimes(attempts);
    await core.sweepDeadLetters();
    expect(await backlog()).toBe(1);
    expect(core.counters()).toMatchObject({ deadLettersForwarded: 0, deadLetterFailures: 1 });
    expect(core.warnings).toMatchObject([{ subscription: worker, retryInMs: 10 * secondMs }]);
    const still = await core.take();
    expect(still[0]!.deliveryAttempt).toBe(attempts + 1);
    await core.nack(still);
    await core.topic(dead);
    await core.subscription({ name: subscriptionName('heir'), topic: dead });
    core.time.advance(10 * secondMs);
    await core.sweepDeadLetters();
    const [letter] = await core.take(10, subscriptionName('heir'));
    expect(letter!.message.attributes['CloudPubSubDeadLetterSourceDeliveryCount']).toBe('5');
    expect(await backlog()).toBe(0);
  });

  it('dead letter - a failing forward is tried less and less often, and warned about each time', async () => {
    await policed();
    await core.topics.delete(dead);
    await core.send(['bad']);
    await nackTimes(attempts);
    for (let seconds = 0; seconds < 60; seconds++) {
      await core.sweepDeadLetters();
      core.time.advance(secondMs);
    }
    expect(core.warnings.map(({ retryInMs }) => retryInMs)).toEqual([10_000, 20_000, 40_000]);
  });

  it('dead letter - I3: a crash between the publish and the ack moves it once', async () => {
    await policed();
    await core.send(['bad']);
    await nackTimes(attempts);
    // What the crash leaves behind: the letter is published under its key, the source knows nothing of it.
    await core.publisher.publishOne(dead, messageOf('bad'), await dedupeKey());
    core = await core.restart();
    expect(await core.take()).toEqual([]);
    expect(await backlog()).toBe(0);
    expect(textsOf(await deadLetters())).toEqual(['bad']);
  });

  it('dead letter - after a seek back a message can be dead-lettered a second time', async () => {
    await policed();
    const startMs = core.time.clock();
    await core.send(['bad']);
    for (let round = 1; round <= 2; round++) {
      for (let i = 0; i < attempts; i++) await core.nack(await core.take());
      await core.sweepDeadLetters();
      expect(core.counters().deadLettersForwarded).toBe(round);
      await core.subscriptions.seek(worker, { timeMs: startMs });
    }
    expect(textsOf(await deadLetters())).toEqual(['bad', 'bad']);
  });

  it('dead letter - attempts outlive a restart', async () => {
    await policed();
    await core.send(['bad']);
    await nackTimes(attempts);
    core = await core.restart();
    await core.take();
    expect(textsOf(await deadLetters())).toEqual(['bad']);
  });

  it('dead letter - I3: when the policy goes while messages are being moved, each is in one of the two places', async () => {
    await policed();
    await core.publisher.publish(
      telemetry,
      Array.from({ length: 250 }, (_, i) => messageOf(`bad${i}`)),
    );
    for (let i = 0; i < attempts; i++) await core.nack(await core.take(1000));
    const { deadLetter: _gone, ...without } = await core.subscriptions.get(worker);
    await Promise.all([core.sweepDeadLetters(), core.subscriptions.update(without, ['dead_letter_policy'])]);
    await core.sweepDeadLetters();
    const [stayed, moved] = [await core.take(1000), await core.take(1000, mourner)];
    expect(new Set([...textsOf(stayed), ...textsOf(moved)]).size).toBe(250);
    expect(stayed.length + moved.length).toBe(250);
    expect(core.warnings).toEqual([]);
  });

  it('dead letter - without a policy a message is tried until it is acked or past retention', async () => {
    await core.subscription({ messageRetentionMs: dayMs });
    await core.send(['bad']);
    for (let i = 0; i < 20; i++) await core.nack(await core.take());
    expect((await core.take())[0]!.deliveryAttempt).toBe(0);
    expect(await deadLetters()).toEqual([]);
  });

  it('dead letter - hundreds of spent messages are moved in one sweep', async () => {
    await policed();
    await core.publisher.publish(
      telemetry,
      Array.from({ length: 350 }, (_, i) => messageOf(`bad${i}`)),
    );
    for (let i = 0; i < attempts - 1; i++) await core.nack(await core.take(1000));
    await core.take(1000);
    core.time.advance(10 * secondMs);
    await core.sweepDeadLetters();
    expect(core.counters().deadLettersForwarded).toBe(350);
    expect(await core.take(1000, mourner)).toHaveLength(350);
    expect(await backlog()).toBe(0);
  });
});
