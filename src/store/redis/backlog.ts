import type { LogRef, SubscriptionStats } from '../store.ts';
import type { Catalog } from './catalog.ts';
import type { Logs } from './log.ts';
import { logsOf } from './naming.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What a subscription has not acked yet, summed over its partitions. */
export class Backlog {
  readonly #catalog: Catalog;
  readonly #logs: Logs;
  readonly #subscriptions: Subscriptions;

  constructor(catalog: Catalog, logs: Logs, subscriptions: Subscriptions) {
    this.#catalog = catalog;
    this.#logs = logs;
    this.#subscriptions = subscriptions;
  }

  /** @throws NOT_FOUND */
  async of(subscription: string): Promise<SubscriptionStats> {
    const { topicId, partitions } = await this.#catalog.existingSubscription(subscription);
    const each = await Promise.all(logsOf(topicId, 0, partitions).map((log) => this.#on(log, subscription)));
    const oldest = each.flatMap(({ oldestUnackedMs }) => oldestUnackedMs ?? []);
    return {
      backlog: sum(each.map(({ backlog }) => backlog)),
      outstanding: sum(each.map(({ outstanding }) => outstanding)),
      oldestUnackedMs: oldest.length > 0 ? Math.min(...oldest) : undefined,
      bytes: sum(each.map(({ bytes }) => bytes)),
    };
  }

  async #on(log: LogRef, subscription: string): Promise<SubscriptionStats> {
    const at = { subscription, partition: log.partition };
    const { backlog, outstanding, firstUnacked, head } = await this.#subscriptions.use(at, (it) => it.stats());
    const oldest = await this.#logs.at(log, firstUnacked);
    const unackedShare = backlog / Math.max(1, head - firstUnacked);
    return {
      backlog,
      outstanding,
      oldestUnackedMs: oldest?.publishMs,
      bytes: Math.round((oldest?.bytes ?? 0) * unackedShare),
    };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
