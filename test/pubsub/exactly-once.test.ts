import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ackIdsOf, type Core, endCores, minuteMs, openCore, secondMs, worker } from './core.ts';

let core: Core;
beforeEach(async () => {
  core = await openCore();
  await core.topic();
});
afterEach(endCores);

describe('exactly-once subscriptions', () => {
  it('exactly once - I2: a confirmed ack is final, over a restart too', async () => {
    await core.subscription({ enableExactlyOnceDelivery: true });
    await core.send(['one', 'two']);
    const messages = await core.take();
    expect(await core.ack(messages)).toEqual(['ok', 'ok']);
    core.time.advance(minuteMs);
    expect(await core.take()).toEqual([]);
    core = await core.restart();
    expect(await core.take()).toEqual([]);
  });

  it('exactly once - I4: an ack id is invalid once its deadline has passed or it was settled', async () => {
    await core.subscription({ enableExactlyOnceDelivery: true });
    await core.send(['one', 'two']);
    const [one, two] = await core.take();
    await core.ack([one!]);
    core.time.advance(10 * secondMs);
    expect(await core.ack([one!, two!])).toEqual(['invalid', 'invalid']);
    expect(await core.subscriber.modifyAckDeadline(worker, [two!.ackId], 30 * secondMs)).toEqual(['invalid']);
    expect(await core.nack([two!])).toEqual(['invalid']);
    const [again] = await core.take();
    expect(await core.ack([two!, again!])).toEqual(['invalid', 'ok']);
  });

  it('exactly once - an extended deadline keeps the ack id good', async () => {
    await core.subscription({ enableExactlyOnceDelivery: true });
    await core.send(['one']);
    const messages = await core.take();
    expect(await core.subscriber.modifyAckDeadline(worker, ackIdsOf(messages), 60 * secondMs)).toEqual(['ok']);
    core.time.advance(59 * secondMs);
    expect(await core.ack(messages)).toEqual(['ok']);
  });

  it('exactly once - with ordering an ack ahead of an earlier message is refused as unordered', async () => {
    await core.subscription({ enableExactlyOnceDelivery: true, enableMessageOrdering: true });
    await core.send(['a1', 'a2'], 'a');
    const [a1, a2] = await core.take();
    expect(await core.ack([a2!])).toEqual(['unordered']);
    expect(await core.ack([a2!, a1!])).toEqual(['ok', 'ok']); // in one call their order does not matter
  });

  it('exactly once - can be switched on and off, and counts from the next call', async () => {
    await core.subscription();
    await core.send(['one']);
    const messages = await core.take();
    const subscription = await core.subscriptions.get(worker);
    const strict = { ...subscription, enableExactlyOnceDelivery: true };
    await core.subscriptions.update(strict, ['enable_exactly_once_delivery']);
    core.time.advance(10 * secondMs);
    expect(await core.ack(messages)).toEqual(['invalid']);
    await core.subscriptions.update(subscription, ['enable_exactly_once_delivery']);
    expect(await core.ack(messages)).toEqual(['ok']);
  });
});
