import type { AckResult, LeaseLimits, ReceivedMessage, Subscribe } from './pubsub.ts';
import type { StreamGroup } from './streaming-pull-group.ts';

/** The subscriber as every doorway sees it: what is settled through it, the streams of the subscription learn. */
export class WatchedSubscriber implements Subscribe {
  readonly #subscriber: Subscribe;
  readonly #groups: ReadonlyMap<string, StreamGroup>;
  readonly #clock: () => number;

  constructor(subscriber: Subscribe, groups: ReadonlyMap<string, StreamGroup>, clock: () => number) {
    this.#subscriber = subscriber;
    this.#groups = groups;
    this.#clock = clock;
  }

  lease(subscription: string, limits: LeaseLimits): Promise<ReceivedMessage[]> {
    return this.#subscriber.lease(subscription, limits);
  }

  pull(subscription: string, limits: LeaseLimits, signal: AbortSignal): Promise<ReceivedMessage[]> {
    return this.#subscriber.pull(subscription, limits, signal);
  }

  async acknowledge(subscription: string, ackIds: readonly string[]): Promise<AckResult[]> {
    const results = await this.#subscriber.acknowledge(subscription, ackIds);
    const group = this.#groups.get(subscription);
    if (group) {
      for (let i = 0; i < ackIds.length; i++) if (results[i] !== 'unordered') group.settle(ackIds[i]!);
    }
    return results;
  }

  async modifyAckDeadline(
    subscription: string,
    ackIds: readonly string[],
    ackDeadlineMs: number,
  ): Promise<AckResult[]> {
    const results = await this.#subscriber.modifyAckDeadline(subscription, ackIds, ackDeadlineMs);
    const group = this.#groups.get(subscription);
    if (group) {
      const deadlineMs = this.#clock() + ackDeadlineMs;
      for (let i = 0; i < ackIds.length; i++) {
        if (ackDeadlineMs > 0 && results[i] === 'ok') group.extend(ackIds[i]!, deadlineMs);
        else group.settle(ackIds[i]!);
      }
    }
    return results;
  }

  async release(subscription: string, ackIds: readonly string[]): Promise<void> {
    await this.#subscriber.release(subscription, ackIds);
    const group = this.#groups.get(subscription);
    if (group) for (const ackId of ackIds) group.settle(ackId);
  }
}
