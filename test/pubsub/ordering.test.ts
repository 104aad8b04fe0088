import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holds } from '../support/property.ts';
import { type Core, endCores, messageOf, openCore, secondMs, telemetry, textOf, textsOf, worker } from './core.ts';

let core: Core;
beforeEach(async () => {
  core = await openCore();
  await core.topic();
});
afterEach(endCores);

const ordered = () => core.subscription({ enableMessageOrdering: true });

describe('ordered subscriptions', () => {
  it('ordering - I5: a nack sends back the message and every later one of its key, and no other', async () => {
    await ordered();
    await core.send(['a1', 'a2', 'a3'], 'a');
    await core.send(['b1', 'b2'], 'b');
    const messages = await core.take();
    expect(textsOf(messages)).toEqual(['a1', 'a2', 'a3', 'b1', 'b2']);
    await core.nack([messages[1]!]);
    expect(await core.take()).toEqual([]); // a1 is still out
    await core.ack([messages[0]!]);
    expect(textsOf(await core.take())).toEqual(['a2', 'a3']);
  });

  it('ordering - I5: a later message that was acked ahead comes again when an earlier one fails', async () => {
    await ordered();
    await core.send(['a1', 'a2', 'a3'], 'a');
    const messages = await core.take();
    expect(await core.ack(messages.slice(1))).toEqual(['ok', 'ok']);
    core.time.advance(10 * secondMs);
    expect(textsOf(await core.take())).toEqual(['a1', 'a2', 'a3']);
  });

  it('ordering - I5: the next messages of a key wait until those before are acked', async () => {
    await ordered();
    await core.send(['a1', 'a2', 'a3'], 'a');
    await core.send(['free']);
    const [first] = await core.take(1);
    expect(textsOf(await core.take())).toEqual(['free']);
    await core.ack([first!]);
    expect(textsOf(await core.take())).toEqual(['a2', 'a3']);
  });

  it('ordering - only the message that failed has its attempt counted', async () => {
    const dead = 'projects/p/topics/dead';
    await core.topic(dead);
    await core.subscription({ enableMessageOrdering: true, deadLetter: { topic: dead } });
    await core.send(['a1', 'a2'], 'a');
    await core.nack((await core.take()).slice(0, 1));
    const again = await core.take();
    expect(again.map((message) => [textOf(message), message.deliveryAttempt])).toEqual([
      ['a1', 2],
      ['a2', 1],
    ]);
  });

  it('ordering - a reply that grew too large keeps each key in order', async () => {
    await ordered();
    const texts = Array.from({ length: 6 }, (_, i) => `${i}${'x'.repeat(1000)}`);
    await core.publisher.publish(
      telemetry,
      texts.map((text) => messageOf(text, { orderingKey: 'k' })),
    );
    await core.take();
    core.time.advance(10 * secondMs); // all six come back as redeliveries, more than fit
    const seen: string[] = [];
    for (let i = 0; i < 3; i++) {
      const messages = await core.subscriber.lease(worker, { messagesMax: 10, bytesMax: 2500 });
      expect(messages).toHaveLength(2);
      seen.push(...textsOf(messages));
      await core.ack(messages);
    }
    expect(seen).toEqual(texts);
  });

  it('ordering - on a subscription without it keys mean nothing', async () => {
    await core.subscription();
    await core.send(['a1', 'a2'], 'a');
    const messages = await core.take();
    await core.nack(messages.slice(0, 1));
    expect(textsOf(await core.take())).toEqual(['a1']);
  });

  it('ordering - I5: whatever fails, each key is processed in order and nothing is lost', async () => {
    const step = fc.record({
      room: fc.integer({ min: 1, max: 6 }),
      fails: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    });
    await holds(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const own = await openCore();
        try {
          await inOrder(own, steps);
        } finally {
          await own.end();
        }
      }),
      15,
    );
  });
});

interface Step {
  readonly room: number;
  readonly fails: readonly boolean[];
}

/** Takes, acks what does not fail and nacks the rest, then drains; a key's acks must run without a gap. */
async function inOrder(own: Core, steps: readonly Step[]): Promise<void> {
  await own.topic();
  await own.subscription({ enableMessageOrdering: true });
  const keys = ['a', 'b', 'c'];
  for (let i = 0; i < 8; i++) for (const key of keys) await own.send([`${key}${i}`], key);
  const done = new Map<string, number>(keys.map((key) => [key, 0]));
  const always: Step = { room: 6, fails: [] };
  for (let i = 0; i < steps.length + 24; i++) {
    const { room, fails } = steps[i] ?? always;
    const failed = new Set<string>();
    for (const [index, message] of (await own.take(room)).entries()) {
      const { orderingKey } = message.message;
      if (fails[index] && !failed.has(orderingKey)) {
        failed.add(orderingKey);
        await own.nack([message]);
      } else if (!failed.has(orderingKey)) {
        expect(textOf(message)).toBe(`${orderingKey}${done.get(orderingKey)}`);
        expect(await own.ack([message])).toEqual(['ok']);
        done.set(orderingKey, done.get(orderingKey)! + 1);
      }
    }
  }
  expect([...done.values()]).toEqual([8, 8, 8]);
}
