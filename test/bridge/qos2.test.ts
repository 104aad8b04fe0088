import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { RouteDefinition } from '../../src/domain/route.ts';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';
import { type BridgeUnderTest, openBridge, publish, topicNamed } from './bridge-under-test.ts';

const routes: readonly RouteDefinition[] = [
  { filter: 'a/{id}', topic: 'topic-a', orderingKey: '{id}' },
  { filter: 'b/{id}', topic: 'topic-b' },
  { name: 'copy', filter: 'b/both', topic: 'topic-a' },
];

let bridge: BridgeUnderTest;

async function open(bounds: Parameters<typeof openBridge>[2] = {}): Promise<void> {
  bridge = await openBridge(routes, ['topic-a', 'topic-b'], bounds);
}

afterEach(() => bridge.remove());

function send(topic: string, text: string, packetId: number, scope = 's1'): Promise<void> {
  return bridge.uplink.open('c1').accept(publish(topic, text, { qos: 2, dedupe: { scope, packetId } }))!;
}

describe('uplink - QoS 2 (I6)', () => {
  it('uplink - a repeated publish is stored once, at the same time or later, in every topic', async () => {
    await open();
    await Promise.all([send('b/both', 'x', 7), send('b/both', 'x', 7)]);
    await send('b/both', 'x', 7);
    expect([await bridge.texts('topic-a'), await bridge.texts('topic-b')]).toEqual([['x'], ['x']]);
  });

  it('uplink - the same packet id of another session is another message', async () => {
    await open();
    await send('a/1', 'x', 7, 's1');
    await send('a/1', 'y', 7, 's2');
    expect(await bridge.texts('topic-a')).toEqual(['x', 'y']);
  });

  it('uplink - after its release a packet id carries a new message', async () => {
    await open();
    await send('b/both', 'x', 7);
    await bridge.uplink.release('s1', 7);
    await send('b/both', 'y', 7);
    expect([await bridge.texts('topic-a'), await bridge.texts('topic-b')]).toEqual([
      ['x', 'y'],
      ['x', 'y'],
    ]);
    expect(bridge.uplink.counters().slowReleases).toBe(0);
  });

  it('uplink - a release is asked for exactly where the message went', async () => {
    await open();
    await send('b/both', 'x', 7);
    await bridge.uplink.release('s1', 7);
    expect(bridge.publisher.forgotten).toEqual([
      { dedupe: 's1/7', topic: topicNamed('topic-b') },
      { dedupe: 's1/7', topic: topicNamed('topic-a') },
    ]);
  });

  it('uplink - a release of an unknown id is fine', async () => {
    await open();
    await bridge.uplink.release('s1', 7);
    expect(bridge.publisher.forgotten).toEqual([{ dedupe: 's1/7', topic: undefined }]);
    expect(bridge.uplink.counters().slowReleases).toBe(1);
  });

  it('uplink - a release is fine when the topic was deleted meanwhile', async () => {
    await open();
    await send('b/both', 'x', 7);
    await bridge.store.deleteTopic(topicNamed('topic-b'));
    await bridge.uplink.release('s1', 7);
    await bridge.store.createTopic({ name: topicNamed('topic-b'), labels: {} });
    await send('b/both', 'y', 7);
    expect([await bridge.texts('topic-a'), await bridge.texts('topic-b')]).toEqual([['x', 'y'], ['y']]);
  });

  for (const bounds of [{ idsPerScopeMax: 1 }, { scopesMax: 1 }]) {
    it(`uplink - an id forgotten at ${Object.keys(bounds)} is released all the same, and it is counted`, async () => {
      await open(bounds);
      await send('a/1', 'x', 7);
      await send('a/1', 'x', 7);
      expect(bridge.uplink.counters().unreleasedForgotten).toBe(0);
      await send('a/1', 'y', 8, 'idsPerScopeMax' in bounds ? 's1' : 's2');
      expect(bridge.uplink.counters().unreleasedForgotten).toBe(1);
      await bridge.uplink.release('s1', 7);
      await send('a/1', 'z', 7);
      expect(await bridge.texts('topic-a')).toEqual(['x', 'y', 'z']);
    });
  }

  it('uplink - a refused message frees its packet id in the topics that took it', async () => {
    await open();
    await bridge.store.deleteTopic(topicNamed('topic-b'));
    await expectRefusal(() => send('b/both', 'x', 7), 'INVALID_ARGUMENT', topicNamed('topic-b'));
    await send('a/1', 'y', 7);
    expect(await bridge.texts('topic-a')).toEqual(['x', 'y']);
  });

  it('uplink - an unsure answer keeps the packet id, so that sending again stores nothing twice', async () => {
    await open();
    bridge.publisher.unsureTopic = topicNamed('topic-a');
    await expectRefusal(() => send('b/both', 'x', 7), 'UNAVAILABLE');
    bridge.publisher.unsureTopic = undefined;
    await send('b/both', 'x', 7);
    expect([await bridge.texts('topic-a'), await bridge.texts('topic-b')]).toEqual([['x'], ['x']]);
  });
});

type Step = { readonly kind: 'send' | 'release'; readonly topic: string; readonly packetId: number } | 'restart';

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc.record({
        kind: fc.constantFrom('send' as const, 'send' as const, 'release' as const),
        topic: fc.constantFrom('a/1', 'b/1', 'b/both'),
        packetId: fc.integer({ min: 1, max: 2 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  ),
  { minLength: 5, maxLength: 25 },
);

describe('uplink - QoS 2 under any order of repetition, release and restart', () => {
  it('uplink - every message is stored exactly once (I6, I10)', async () => {
    await open(); // for afterEach; each case has a store of its own
    await holds(fc.asyncProperty(steps, storedOnce), 25);
  });
});

/** A client that keeps to the protocol: an id that is not released carries the same message again. */
async function storedOnce(script: readonly Step[]): Promise<void> {
  const own = await openBridge(routes, ['topic-a', 'topic-b']);
  try {
    const unreleased = new Map<number, { topic: string; text: string }>();
    const expected = { 'topic-a': [] as string[], 'topic-b': [] as string[] };
    for (const [i, step] of script.entries()) {
      if (step === 'restart') await own.restart();
      else if (step.kind === 'release') {
        await own.uplink.release('s1', step.packetId);
        unreleased.delete(step.packetId);
      } else {
        const repeated = unreleased.get(step.packetId);
        const message = repeated ?? { topic: step.topic, text: `m${i}` };
        unreleased.set(step.packetId, message);
        if (!repeated && message.topic !== 'b/1') expected['topic-a'].push(message.text);
        if (!repeated && message.topic !== 'a/1') expected['topic-b'].push(message.text);
        const dedupe = { scope: 's1', packetId: step.packetId };
        await own.uplink.open('c1').accept(publish(message.topic, message.text, { qos: 2, dedupe }));
      }
    }
    expect({ 'topic-a': await own.texts('topic-a'), 'topic-b': await own.texts('topic-b') }).toEqual(expected);
  } finally {
    await own.remove();
  }
}
