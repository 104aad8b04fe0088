import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ReceivedMessage } from '../../src/pubsub/pubsub.ts';
import { holds } from '../support/property.ts';
import { RedisServer } from '../support/redis-server.ts';
import { freshPrefix } from '../support/redis-under-test.ts';
import {
  ackIdsOf,
  type Core,
  endCores,
  messageOf,
  openCore,
  openCoreOnRedis,
  subscriptionName,
  telemetry,
  textOf,
} from './core.ts';
import { type SecondNode, secondNode } from './second-node.ts';

type Step =
  | { readonly kind: 'publish'; readonly key: number; readonly dedupe: boolean }
  | { readonly kind: 'repeat'; readonly which: number }
  | { readonly kind: 'grow'; readonly by: number }
  | { readonly kind: 'hear' | 'rest' | 'turn' | 'hold' | 'release' }
  | { readonly kind: 'pull'; readonly reader: number; readonly messagesMax: number; readonly acked: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      key: fc.integer({ min: 0, max: 4 }),
      dedupe: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('grow' as const), by: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('hear' as const, 'rest' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('turn' as const, 'hold' as const, 'release' as const) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('pull' as const),
      reader: fc.nat(2),
      messagesMax: fc.integer({ min: 1, max: 6 }),
      acked: fc.nat(6),
    }),
  },
);

interface Published {
  readonly text: string;
  readonly key: number;
  readonly dedupe: string | undefined;
}

/** Two of them see every message in the order of its key; the third is unordered. */
const readers = ['ordered', 'ordered-too', 'unordered'];

afterEach(endCores);

/** A topic that grows while two nodes publish to it and three subscriptions are pulled from, on either node. */
class Run {
  readonly #core: Core;
  readonly #node: SecondNode;
  readonly #published: Published[] = [];
  readonly #calls: Promise<unknown>[] = [];
  readonly #got = readers.map(() => [] as ReceivedMessage[]);
  readonly #held = readers.map(() => [] as ReceivedMessage[][]);
  #partitions = 1;
  #pulls = 0;
  #growths = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#node = secondNode(core);
  }

  static async on(core: Core): Promise<Run> {
    await core.topic();
    for (const [index, id] of readers.entries()) {
      await core.subscription({ name: subscriptionName(id), enableMessageOrdering: index < 2 });
    }
    return new Run(core);
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'publish') this.#publish(step);
    else if (step.kind === 'repeat') await this.#repeat(step.which);
    else if (step.kind === 'grow') await this.#grow(step.by);
    else if (step.kind === 'hear') this.#node.hear();
    else if (step.kind === 'hold') this.#node.hold();
    else if (step.kind === 'release') this.#node.release();
    else if (step.kind === 'turn') await nextLoopTurn();
    else if (step.kind === 'rest') await this.#rest();
    else if (step.kind === 'pull') await this.#pull(step);
  }

  /** Lets everything finish and takes what is left. */
  async finish(): Promise<void> {
    await this.#rest();
    this.#node.hear();
    for (const [reader, held] of this.#held.entries()) {
      for (const messages of held.splice(0)) await this.#settle(reader, messages, messages.length);
    }
    for (const reader of readers.keys()) {
      while ((await this.#pull({ reader, messagesMax: 50, acked: 50 })) > 0);
    }
    await this.#node.close();
    await this.#core.end();
  }

  /** I3, I6: each subscription acked each message, and each once. */
  checkNothingLostOrDoubled(): void {
    for (const got of this.#got) expect(got.map(textOf).sort()).toEqual(this.#published.map(({ text }) => text).sort());
  }

  /** I5, I7: within a partition a key's messages were acked in the order in which they were published. */
  checkOrder(): void {
    const numberOf = new Map(this.#published.map(({ text }, number) => [text, number]));
    for (const got of this.#got.slice(0, 2)) {
      const last = new Map<string, number>();
      for (const received of got) {
        const { orderingKey, messageId } = received.message;
        const lane = `${orderingKey} in ${Number(messageId) % 1024}`;
        const number = numberOf.get(textOf(received))!;
        expect(number, `the order of ${lane}`).toBeGreaterThan(last.get(lane) ?? -1);
        last.set(lane, number);
      }
    }
  }

  /** I7: once a key has moved, nothing that was handed in later went where it was before. */
  checkKeysMoveOnce(): void {
    const partitionOf = new Map(
      this.#got[2]!.map((received) => [textOf(received), Number(received.message.messageId) % 1024]),
    );
    const paths = new Map<number, number[]>();
    for (const { text, key } of this.#published) {
      const path = paths.get(key) ?? [];
      if (path.at(-1) !== partitionOf.get(text)) path.push(partitionOf.get(text)!);
      paths.set(key, path);
    }
    for (const path of paths.values()) expect(path.length).toBeLessThanOrEqual(this.#growths + 1);
  }

  /** A key belongs to one node, as a device is connected to one. */
  #nodeOf(key: number): Core | SecondNode {
    return key % 2 === 0 ? this.#core : this.#node;
  }

  #publish({ key, dedupe }: { key: number; dedupe: boolean }): void {
    const text = `m${this.#published.length}`;
    const published = { text, key, dedupe: dedupe ? `session/${text}` : undefined };
    this.#published.push(published);
    this.#send(published, this.#nodeOf(key));
  }

  /** At once through the same node, or, as after a reconnect, through the other when everything has its answer. */
  async #repeat(which: number): Promise<void> {
    const repeated = this.#published[which % (this.#published.length || 1)];
    if (repeated?.dedupe === undefined) return;
    if (which % 2 === 0) return this.#send(repeated, this.#nodeOf(repeated.key));
    await this.#rest();
    this.#send(repeated, this.#nodeOf(repeated.key + 1));
  }

  async #rest(): Promise<void> {
    this.#node.release();
    await Promise.all(this.#calls);
  }

  #send({ text, key, dedupe }: Published, node: Core | SecondNode): void {
    this.#calls.push(node.publisher.publishOne(telemetry, messageOf(text, { orderingKey: `key ${key}` }), dedupe));
  }

  /** Some steps go on while it grows, others find it grown. */
  async #grow(by: number): Promise<void> {
    this.#growths++;
    this.#partitions += by;
    const grown = this.#core.topics.setPartitions(telemetry, this.#partitions);
    this.#calls.push(grown);
    if (by % 2 === 0) await grown;
  }

  async #pull({ reader, messagesMax, acked }: { reader: number; messagesMax: number; acked: number }): Promise<number> {
    const node = this.#pulls++ % 2 === 0 ? this.#core : this.#node;
    const limits = { messagesMax, bytesMax: 1_000_000 };
    const messages = await node.subscriber.lease(subscriptionName(readers[reader]!), limits);
    this.#checkAlone(reader, messages);
    if (acked > 5 && messagesMax < 50)
      this.#held[reader]!.push(messages); // settled at the end
    else await this.#settle(reader, messages, acked);
    return messages.length;
  }

  /** I5: of one key in one partition nothing is out twice at a time. */
  #checkAlone(reader: number, messages: readonly ReceivedMessage[]): void {
    if (reader === 2) return;
    const lane = ({ message }: ReceivedMessage) => `${message.orderingKey} in ${Number(message.messageId) % 1024}`;
    const held = new Set(this.#held[reader]!.flat().map(lane));
    expect(messages.map(lane).filter((one) => held.has(one))).toEqual([]);
  }

  async #settle(reader: number, messages: readonly ReceivedMessage[], acked: number): Promise<void> {
    const name = subscriptionName(readers[reader]!);
    const kept = messages.slice(0, acked);
    const returned = messages.slice(acked);
    if (kept.length > 0) expect(new Set(await this.#core.ack(kept, name))).toEqual(new Set(['ok']));
    if (returned.length > 0) await this.#core.subscriber.modifyAckDeadline(name, ackIdsOf(returned), 0);
    this.#got[reader]!.push(...kept);
  }
}

describe('partitions - whatever happens while a topic grows', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());

  const stores: readonly [store: string, open: () => Promise<Core>, runs: number][] = [
    ['LMDB', openCore, 60],
    ['Redis', () => openCoreOnRedis(redis.url, freshPrefix()), 40],
  ];
  it.each(stores)(
    'partitions - I3 I5 I6 I7: on %s nothing is lost or doubled, and a key keeps its order',
    async (_store, open, runs) => {
      const steps = fc.array(step, { minLength: 5, maxLength: 60 });
      const property = fc.asyncProperty(steps, async (taken) => {
        const run = await Run.on(await open());
        for (const one of taken) await run.take(one);
        await run.finish();
        run.checkNothingLostOrDoubled();
        run.checkOrder();
        run.checkKeysMoveOnce();
      });
      await holds(property, runs);
    },
    120_000,
  );
});
