import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import { PubSubError } from '../domain/errors.ts';
import { dedupeKeyMsMax, hasExpired, retentionMsOf, type SubscriptionNeed, trimOffset } from '../domain/retention.ts';
import type { Topic } from '../domain/topic.ts';
import type { LogRef, Store, Watermarks } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PubSubBounds } from './bounds.ts';
import type { Schedule } from './schedule.ts';
import { everySnapshot, everySubscription, everyTopic } from './sweep-pages.ts';
import type { Turn } from './turn.ts';

interface Parts {
  readonly store: Store;
  /** Of this node; only for how often it does what is done now and then. */
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly bounds: PubSubBounds;
  /** Taken by whoever moves a subscription back, and by the trim that must not cut what was moved back to. */
  readonly seekOrTrim: Turn;
}

/**
 * Lets go of what time has made superfluous, a step at a time and never twice at once:
 *
 *     1  subscriptions that nobody has used for longer than their expiration policy's ttl; expired snapshots
 *     2  per log: each subscription passes over what is older than its retention
 *     3  per log: batches that nobody may ask for any more (`trimOffset`)
 *     4  now and then: dedupe keys that no client can still repeat
 *
 * Ages are measured in the store's time: a node whose own clock is ahead would let go of everybody's backlog.
 *
 * A subscription that is made during a sweep is owed what is published after that: nothing before the head that the sweep
 * saw first. A snapshot that is made during a sweep needs nothing that its subscription had acked when the sweep looked.
 * Only a seek moves back: those of this node take turns with the trim, and of those of other nodes the store takes care.
 */
export class RetentionSweep {
  readonly #parts: Parts;
  #dedupeSweptMs: number;
  #running: Promise<void> | undefined;
  #cancelTimer: () => void;
  #closed = false;
  #expiredSubscriptions = 0;
  #expiredSnapshots = 0;
  #trims = 0;
  #passedOver = 0;
  #failures = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#dedupeSweptMs = parts.clock();
    this.#cancelTimer = this.#startTimer();
  }

  counters() {
    return {
      expiredSubscriptions: this.#expiredSubscriptions,
      expiredSnapshots: this.#expiredSnapshots,
      trims: this.#trims,
      messagesPassedOver: this.#passedOver,
      retentionFailures: this.#failures,
    };
  }

  /** Joins a sweep that is under way. Never rejects. */
  sweepOnce(): Promise<void> {
    this.#running ??= this.#sweep().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer();
    await this.#running;
  }

  #startTimer(): () => void {
    const { schedule, bounds } = this.#parts;
    return schedule(bounds.retentionSweepMs, () => {
      if (this.#closed) return;
      this.#cancelTimer = this.#startTimer();
      void this.sweepOnce();
    });
  }

  async #sweep(): Promise<void> {
    const { store } = this.#parts;
    await this.#attempt('expire subscriptions', async () => this.#expireSubscriptions(await store.nowMs()));
    await this.#attempt('delete expired snapshots', async () => this.#expireSnapshots(await store.nowMs()));
    await this.#attempt('trim logs', async () => this.#sweepLogs(await store.nowMs()));
  }

  /** What fails now is done by the next sweep. */
  async #attempt(what: string, job: () => Promise<void>): Promise<void> {
    if (this.#closed) return;
    try {
      await job();
    } catch (error) {
      this.#failures++;
      this.#parts.logger.warn({ error: String(error) }, `the retention sweep could not ${what}; the next one will`);
    }
  }

  async #expireSubscriptions(nowMs: number): Promise<void> {
    const { store, logger, bounds } = this.#parts;
    for await (const { subscription, activeMs } of everySubscription(store, bounds.sweepPageSize)) {
      if (!hasExpired(subscription, activeMs + bounds.touchMs, nowMs)) continue; // use is noted that coarsely
      await store.deleteSubscription(subscription.name);
      this.#expiredSubscriptions++;
      logger.info(
        { subscription: subscription.name },
        'a subscription expired: nobody has used it for its expiration ttl',
      );
    }
  }

  async #expireSnapshots(nowMs: number): Promise<void> {
    const { store, bounds } = this.#parts;
    for await (const { snapshot } of everySnapshot(store, bounds.sweepPageSize)) {
      if (snapshot.expireMs > nowMs) continue;
      await store.deleteSnapshot(snapshot.name);
      this.#expiredSnapshots++;
    }
  }

  async #sweepLogs(nowMs: number): Promise<void> {
    const { store, clock, bounds, seekOrTrim } = this.#parts;
    const dedupeDue = clock() - this.#dedupeSweptMs >= bounds.dedupeSweepMs;
    const topics = await this.#topicsById();
    for (const log of await store.listLogs()) {
      await nextLoopTurn(); // thousands of logs with nothing to do must not hold up everybody else
      const name = `trim the log ${log.topicId}/${log.partition}`;
      await this.#attempt(name, () => seekOrTrim.run(() => this.#sweepLog(log, topics.get(log.topicId), nowMs)));
      if (dedupeDue) await this.#attempt(name, () => store.forgetBefore(log, nowMs - dedupeKeyMsMax));
    }
    if (dedupeDue) this.#dedupeSweptMs = clock();
  }

  async #topicsById(): Promise<ReadonlyMap<string, Topic>> {
    const { store, bounds } = this.#parts;
    const topics = new Map<string, Topic>();
    for await (const { topicId, topic } of everyTopic(store, bounds.sweepPageSize)) topics.set(topicId, topic);
    return topics;
  }

  /** @param topic undefined when it was deleted and only the log is left */
  async #sweepLog(log: LogRef, topic: Topic | undefined, nowMs: number): Promise<void> {
    const { store } = this.#parts;
    const watermarks = await this.#watermarks(log, topic);
    if (!watermarks) return;
    const needs: SubscriptionNeed[] = [];
    for (const { name, firstUnacked } of watermarks.subscriptions) {
      const need = await this.#need(log, name, firstUnacked, topic, nowMs);
      if (!need) continue;
      needs.push(need);
      await this.#passOver(log, name, need, watermarks.head);
    }
    const retentionMs = topic?.messageRetentionMs;
    const topicFirst = retentionMs === undefined ? undefined : await store.offsetAt(log, nowMs - retentionMs);
    const snapshots = watermarks.snapshots.map((snapshot) => snapshot.firstUnacked);
    await this.#trim(log, watermarks, trimOffset(watermarks.head, topicFirst, needs, snapshots), topic === undefined);
  }

  /** @returns undefined when the log of a deleted topic has gone: it was empty, and another may not be yet */
  async #watermarks(log: LogRef, topic: Topic | undefined): Promise<Watermarks | undefined> {
    try {
      return await this.#parts.store.watermarks(log);
    } catch (error) {
      if (topic === undefined && error instanceof PubSubError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** @returns undefined when the subscription was deleted meanwhile */
  async #need(
    log: LogRef,
    name: string,
    firstUnacked: number,
    topic: Topic | undefined,
    nowMs: number,
  ): Promise<SubscriptionNeed | undefined> {
    const { store } = this.#parts;
    const stored = await store.subscription(name); // read after the watermarks: it is the one that they speak of, or newer
    if (!stored) return undefined;
    const { retainAckedMessages, detached } = stored.subscription;
    const firstRetained = await store.offsetAt(log, nowMs - retentionMsOf(stored.subscription, topic));
    return { firstUnacked, firstRetained, retainAckedMessages, detached };
  }

  async #passOver({ partition }: LogRef, subscription: string, need: SubscriptionNeed, head: number): Promise<void> {
    const to = need.detached ? head : need.firstRetained;
    if (to <= need.firstUnacked) return;
    await this.#parts.store.skipTo({ subscription, partition }, to);
    if (!need.detached) this.#passedOver += to - need.firstUnacked;
  }

  /** A deleted topic's log is trimmed even when it is empty: the store lets it go then. */
  async #trim(log: LogRef, { first, head, subscriptions, snapshots }: Watermarks, to: number, deleted: boolean) {
    const unread = deleted && subscriptions.length + snapshots.length === 0;
    if (to <= first && !(unread && to === head)) return;
    await this.#parts.store.trim(log, to);
    this.#trims++;
  }
}
