import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';
import {
  type Core,
  dayMs,
  endCores,
  messageOf,
  minuteMs,
  openCore,
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
});
afterEach(endCores);

/** Offsets that the log of `telemetry` still keeps. */
async function kept(own = core): Promise<{ first: number; head: number }> {
  const { topicId } = (await own.store.topic(telemetry))!;
  const { first, head } = await own.store.watermarks({ topicId, partition: 0 });
  return { first, head };
}

describe('retention', () => {
  it('retention - trims what everybody has acked', async () => {
    await core.topic();
    await core.subscription();
    await core.subscription({ name: subscriptionName('slow') });
    await core.send(['one', 'two', 'three', 'four']);
    await core.ack(await core.take());
    await core.sweepRetention();
    expect(await kept()).toEqual({ first: 1, head: 5 });
    await core.ack(await core.take(2, subscriptionName('slow')), subscriptionName('slow'));
    await core.sweepRetention();
    expect(await kept()).toEqual({ first: 3, head: 5 });
    expect(textsOf(await core.take(10, subscriptionName('slow')))).toEqual(['three', 'four']);
  });

  it('retention - a topic that nobody subscribes to keeps nothing, or what its own retention says', async () => {
    await core.topic();
    await core.send(['one']);
    await core.sweepRetention();
    expect(await kept()).toEqual({ first: 2, head: 2 });
    await core.topics.update({ name: telemetry, labels: {}, messageRetentionMs: 10 * minuteMs }, [
      'message_retention_duration',
    ]);
    await core.send(['two']);
    core.time.advance(10 * minuteMs);
    await core.send(['three']);
    await core.sweepRetention();
    expect((await kept()).first).toBe(2);
    core.time.advance(1);
    await core.sweepRetention();
    expect((await kept()).first).toBe(3);
  });

  it('retention - a subscription passes over what it left unacked for too long', async () => {
    await core.topic();
    await core.subscription({ messageRetentionMs: 10 * minuteMs });
    await core.send(['old', 'older than it looks']);
    await core.take(1);
    core.time.advance(10 * minuteMs + 1);
    await core.send(['young']);
    await core.sweepRetention();
    expect(textsOf(await core.take())).toEqual(['young']);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 1 });
    expect(core.counters()).toMatchObject({ messagesPassedOver: 2, retentionFailures: 0 });
    expect((await kept()).first).toBe(3);
  });

  it('retention - a topic that retains for longer prolongs that of its subscriptions', async () => {
    await core.topic(telemetry, { messageRetentionMs: dayMs });
    await core.subscription({ messageRetentionMs: 10 * minuteMs });
    await core.send(['old']);
    core.time.advance(dayMs);
    await core.sweepRetention();
    expect(textsOf(await core.take())).toEqual(['old']);
  });

  it('retention - acked messages are kept for a subscription that wants to seek back', async () => {
    await core.topic();
    await core.subscription({ retainAckedMessages: true, messageRetentionMs: 10 * minuteMs });
    await core.send(['one', 'two']);
    await core.ack(await core.take());
    core.time.advance(10 * minuteMs);
    await core.sweepRetention();
    await core.subscriptions.seek(worker, { timeMs: 0 });
    expect(textsOf(await core.take())).toEqual(['one', 'two']);
    core.time.advance(1);
    await core.sweepRetention();
    expect((await kept()).first).toBe(3);
  });

  it('retention - a snapshot keeps what it has unacked until it goes', async () => {
    await core.topic();
    await core.subscription();
    await core.send(['one', 'two']);
    await core.snapshots.create(snapshotName('before'), worker, {});
    await core.ack(await core.take());
    await core.sweepRetention();
    expect((await kept()).first).toBe(1);
    await core.subscriptions.seek(worker, { snapshot: snapshotName('before') });
    expect(textsOf(await core.take())).toEqual(['one', 'two']);
    await core.subscriptions.seek(worker, { timeMs: core.time.clock() + 1 });
    await core.snapshots.delete(snapshotName('before'));
    await core.sweepRetention();
    expect((await kept()).first).toBe(3);
  });

  it('retention - the log of a deleted topic stays while somebody reads it, then it goes', async () => {
    await core.topic();
    await core.subscription();
    await core.send(['one']);
    await core.topics.delete(telemetry);
    await core.sweepRetention();
    const messages = await core.take();
    expect(textsOf(messages)).toEqual(['one']);
    expect(await core.store.listLogs()).toHaveLength(1);
    await core.subscriptions.delete(worker);
    await core.sweepRetention();
    expect(await core.store.listLogs()).toEqual([]);
    expect(core.counters().retentionFailures).toBe(0);
  });

  it('retention - the empty log of a deleted topic goes too', async () => {
    await core.topic();
    await core.topics.delete(telemetry);
    await core.sweepRetention();
    expect(await core.store.listLogs()).toEqual([]);
  });

  it('retention - I6: dedupe keys are let go after 7 days, not before', async () => {
    await core.topic();
    await core.subscription();
    const publish = () => core.publisher.publishOne(telemetry, messageOf('once'), 'session/1');
    await publish();
    core.time.advance(7 * dayMs);
    await core.sweepRetention();
    await publish();
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 1 });
    core.time.advance(dayMs);
    await core.sweepRetention();
    await publish();
    expect(textsOf(await core.take())).toEqual(['once']); // the first is past the subscription's retention by now
  });

  it('retention - the sweep runs by itself', async () => {
    await core.topic();
    await core.send(['nobody wants me']);
    core.time.advance(30_000);
    await core.sweepRetention(); // joins the one that the timer began
    expect(core.counters().trims).toBe(1);
  });

  it('retention - I3: whatever is acked, sought and snapshot, a sweep takes nothing that is still owed', async () => {
    const act = fc.constantFrom('send', 'take', 'ack', 'later', 'seek', 'snapshot', 'seek snapshot', 'retire snapshot');
    const run = fc.record({
      retentionMinutes: fc.integer({ min: 10, max: 60 }),
      retainAckedMessages: fc.boolean(),
      topicRetention: fc.option(fc.integer({ min: 10, max: 60 }), { nil: undefined }),
      acts: fc.array(fc.tuple(act, fc.nat(100)), { minLength: 5, maxLength: 30 }),
    });
    await holds(fc.asyncProperty(run, sweepsTakeNothing), 20);
  });
});

interface Run {
  readonly retentionMinutes: number;
  readonly retainAckedMessages: boolean;
  readonly topicRetention: number | undefined;
  readonly acts: readonly (readonly [act: string, dice: number])[];
}

/** After each step a sweep; before and after it the same messages must be owed: unacked and in retention. */
async function sweepsTakeNothing({ retentionMinutes, retainAckedMessages, topicRetention, acts }: Run): Promise<void> {
  const own = await openCore();
  try {
    const messageRetentionMs = retentionMinutes * minuteMs;
    const topicSettings = topicRetention === undefined ? {} : { messageRetentionMs: topicRetention * minuteMs };
    await own.topic(telemetry, topicSettings);
    await own.subscription({ messageRetentionMs, retainAckedMessages, ackDeadlineMs: 600_000 });
    const world = new World(own, Math.max(messageRetentionMs, topicSettings.messageRetentionMs ?? 0));
    for (const [act, dice] of acts) {
      await world.act(act, dice);
      await own.sweepRetention();
      await world.expectAllOwed();
    }
    expect(own.counters().retentionFailures).toBe(0);
  } finally {
    await own.end();
  }
}

/** What the subscription is owed, kept by hand next to the real thing. */
class World {
  readonly #core: Core;
  readonly #retentionMs: number;
  readonly #sent = new Map<string, number>(); // text -> when
  #unacked = new Set<string>();
  #snapshot: Set<string> | undefined;
  #snapshotSent = 0;

  constructor(core: Core, retentionMs: number) {
    this.#core = core;
    this.#retentionMs = retentionMs;
  }

  async act(act: string, dice: number): Promise<void> {
    const { time } = this.#core;
    if (act === 'send') return this.#send(1 + (dice % 4));
    if (act === 'take')
      return void (await this.#core.nack(await this.#core.take(1 + (dice % 3))).catch(() => undefined));
    if (act === 'ack') return this.#ack(dice);
    if (act === 'later') return time.advance((dice % 20) * minuteMs);
    if (act === 'seek') return this.#seek(time.clock() - (dice % 30) * minuteMs);
    if (act === 'snapshot') return this.#takeSnapshot();
    if (act === 'seek snapshot') return this.#seekSnapshot();
    return this.#dropSnapshot();
  }

  /** The backlog is exactly what is unacked and in retention; a look at all of it changes nothing. */
  async expectAllOwed(): Promise<void> {
    const messages = await this.#core.take(1000);
    expect(new Set(textsOf(messages))).toEqual(new Set([...this.#unacked].filter((text) => this.#inRetention(text))));
    const ackIds = messages.map(({ ackId }) => ackId);
    if (ackIds.length > 0) await this.#core.subscriber.release(worker, ackIds);
  }

  #inRetention(text: string): boolean {
    return this.#sent.get(text)! >= this.#core.time.clock() - this.#retentionMs;
  }

  async #send(count: number): Promise<void> {
    const texts = Array.from({ length: count }, (_, i) => `m${this.#sent.size + i}`);
    for (const text of texts) {
      this.#sent.set(text, this.#core.time.clock());
      this.#unacked.add(text);
    }
    await this.#core.send(texts);
  }

  async #ack(dice: number): Promise<void> {
    const messages = (await this.#core.take(1000)).filter((_, i) => (dice >> (i % 7)) % 2 === 0);
    if (messages.length > 0) await this.#core.ack(messages);
    for (const text of textsOf(messages)) this.#unacked.delete(text);
    this.#core.time.advance(600_000); // those that were not acked come back
  }

  async #seek(timeMs: number): Promise<void> {
    const { first } = await kept(this.#core);
    await this.#core.subscriptions.seek(worker, { timeMs });
    const texts = [...this.#sent.keys()];
    this.#unacked = new Set(texts.filter((text, i) => i + 1 >= first && this.#sent.get(text)! >= timeMs));
  }

  async #takeSnapshot(): Promise<void> {
    if (this.#snapshot) return;
    await this.#core.snapshots.create(snapshotName('before'), worker, {});
    this.#snapshot = new Set(this.#unacked);
    this.#snapshotSent = this.#sent.size;
  }

  async #seekSnapshot(): Promise<void> {
    if (!this.#snapshot) return;
    await this.#core.subscriptions.seek(worker, { snapshot: snapshotName('before') });
    this.#unacked = new Set([...this.#snapshot, ...[...this.#sent.keys()].slice(this.#snapshotSent)]);
  }

  async #dropSnapshot(): Promise<void> {
    if (this.#snapshot) await this.#core.snapshots.delete(snapshotName('before'));
    this.#snapshot = undefined;
  }
}

describe('expiration', () => {
  it('expiration - a subscription that nobody uses goes after its ttl, one that is used stays', async () => {
    const used = subscriptionName('used');
    await core.topic();
    await core.subscription({ expirationTtlMs: dayMs });
    await core.subscription({ name: used, expirationTtlMs: dayMs });
    await core.subscription({ name: subscriptionName('lasting'), expirationTtlMs: 'never' });
    for (let hours = 0; hours <= 26; hours++) {
      await core.take(1, used);
      await core.store.health(); // a commit after the note of that use
      await core.sweepRetention();
      if (hours <= 25) await core.subscriptions.get(worker); // its ttl, and the hour that a use may go unnoted
      core.time.advance(60 * minuteMs);
    }
    await expectRefusal(() => core.subscriptions.get(worker), 'NOT_FOUND');
    await core.subscriptions.get(used);
    await core.subscriptions.get(subscriptionName('lasting'));
    expect(core.counters().expiredSubscriptions).toBe(1);
  });

  it('expiration - that a subscription is in use is written at most once an hour', async () => {
    await core.topic();
    await core.subscription();
    const madeMs = core.time.clock();
    const activeMs = async () => (await core.store.subscription(worker))!.activeMs;
    core.time.advance(59 * minuteMs);
    await core.take();
    expect(await activeMs()).toBe(madeMs);
    core.time.advance(minuteMs);
    await core.take();
    await core.send(['a']); // commits after the note
    expect(await activeMs()).toBe(madeMs + 60 * minuteMs);
  });

  it('expiration - a pull that waits is a use', async () => {
    await core.topic();
    await core.topic(topicName('silent'));
    await core.subscription({ topic: topicName('silent'), expirationTtlMs: dayMs });
    const abort = new AbortController();
    const answer = core.subscriber.pull(worker, { messagesMax: 1, bytesMax: 1 }, abort.signal);
    for (let hours = 0; hours < 48; hours++) {
      core.time.advance(60 * minuteMs);
      await core.store.health(); // commits after the pull has looked, and noted its use
      await core.store.health();
      await core.sweepRetention();
    }
    await core.subscriptions.get(worker);
    abort.abort();
    expect(await answer).toEqual([]);
  });
});
