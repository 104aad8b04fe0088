import { setImmediate as nextLoopTurn } from 'node:timers/promises';
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
 * A subscription or snapshot that is made during a sweep starts at or after what the sweep saw as needed, so a trim
 * never takes anything from it; only a seek moves back, and it takes turns with the trim.
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
    await this.#attempt('expire subscriptions', () => this.#expireSubscriptions());
    await this.#attempt('delete expired snapshots', () => this.#expireSnapshots());
    await this.#attempt('trim logs', () => this.#sweepLogs());
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

  async #expireSubscriptions(): Promise<void> {
    const { store, clock, logger, bounds } = this.#parts;
    for await (const { subscription, activeMs } of everySubscription(store, bounds.sweepPageSize)) {
      if (!hasExpired(subscription, activeMs + bounds.touchMs, clock())) continue; // use is noted that coarsely
      await store.deleteSubscription(subscription.name);
      this.#expiredSubscriptions++;
      logger.info(
        { subscription: subscription.name },
        'a subscription expired: nobody has used it for its expiration ttl',
      );
    }
  }

  async #expireSnapshots(): Promise<void> {
    const { store, clock, bounds } = this.#parts;
    for await (const { snapshot } of everySnapshot(store, bounds.sweepPageSize)) {
      if (snapshot.expireMs > clock()) continue;
      await store.deleteSnapshot(snapshot.name);
      this.#expiredSnapshots++;
    }
  }

  async #sweepLogs(): Promise<void> {
    const { store, clock, bounds, seekOrTrim } = this.#parts;
    const dedupeDue = clock() - this.#dedupeSweptMs >= bounds.dedupeSweepMs;
    const topics = await this.#topicsById();
    for (const log of await store.listLogs()) {
      await nextLoopTurn(); // thousands of logs with nothing to do must not hold up everybody else
      const name = `trim the log ${log.topicId}/${log.partition}`;
      await this.#attempt(name, () => seekOrTrim.run(() => this.#sweepLog(log, topics.get(log.topicId))));
      if (dedupeDue) await this.#attempt(name, () => store.forgetBefore(log, clock() - dedupeKeyMsMax));
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
  async #sweepLog(log: LogRef, topic: Topic | undefined): Promise<void> {
    const { store, clock } = this.#parts;
    const watermarks = await store.watermarks(log);
    const needs: SubscriptionNeed[] = [];
    for (const { name, firstUnacked } of watermarks.subscriptions) {
      const need = await this.#need(log, name, firstUnacked, topic);
      if (!need) continue;
      needs.push(need);
      await this.#passOver(log, name, need, watermarks.head);
    }
    const retentionMs = topic?.messageRetentionMs;
    const topicFirst = retentionMs === undefined ? undefined : await store.offsetAt(log, clock() - retentionMs);
    const snapshots = watermarks.snapshots.map((snapshot) => snapshot.firstUnacked);
    await this.#trim(log, watermarks, trimOffset(watermarks.head, topicFirst, needs, snapshots), topic === undefined);
  }

  /** @returns undefined when the subscription was deleted meanwhile */
  async #need(
    log: LogRef,
    name: string,
    firstUnacked: number,
    topic: Topic | undefined,
  ): Promise<SubscriptionNeed | undefined> {
    const { store, clock } = this.#parts;
    const stored = await store.subscription(name); // read after the watermarks: it is the one that they speak of, or newer
    if (!stored) return undefined;
    const { retainAckedMessages, detached } = stored.subscription;
    const firstRetained = await store.offsetAt(log, clock() - retentionMsOf(stored.subscription, topic));
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
