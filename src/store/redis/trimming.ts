import type { LogRef, Watermarks } from '../store.ts';
import type { Catalog } from './catalog.ts';
import type { Logs } from './log.ts';
import type { SubscriptionStates } from './subscription-state.ts';

/**
 * How far a log is needed, and removing what is not (I3).
 *
 * The caller of `trim` decided on what it saw some time ago; a snapshot may have been made since. So a trim asks first
 * whether somebody is making one (`hold`) and then which snapshots there are. A snapshot that it meets in neither was
 * copied after the first question, later than the caller looked: subscriptions had not acked less by then, so it needs
 * nothing that the caller gives up.
 */
export class Trimming {
  readonly #catalog: Catalog;
  readonly #logs: Logs;
  readonly #states: SubscriptionStates;

  constructor(catalog: Catalog, logs: Logs, states: SubscriptionStates) {
    this.#catalog = catalog;
    this.#logs = logs;
    this.#states = states;
  }

  async trim(log: LogRef, beforeOffset: number): Promise<void> {
    await this.#logs.ends(log); // NOT_FOUND when there is no such log
    if (await this.#logs.isHeld(log)) return;
    const needed = (await this.#snapshots(log)).map(({ firstUnacked }) => firstUnacked);
    await this.#logs.trim(log, Math.min(beforeOffset, ...needed));
  }

  async watermarks(log: LogRef): Promise<Watermarks> {
    const [subscriptions, snapshots] = await Promise.all([this.#subscriptions(log), this.#snapshots(log)]);
    return { ...(await this.#logs.ends(log)), subscriptions, snapshots };
  }

  /** One that has no state is being deleted. */
  async #subscriptions(log: LogRef): Promise<Watermarks['subscriptions']> {
    const known = await this.#catalog.readerIdsOf('subscriptions', log.topicId);
    const ids = known.map(({ id }) => id);
    const marks = await this.#states.firstUnacked(log, ids);
    return known.flatMap(({ name }, at) => {
      const firstUnacked = marks[at];
      return firstUnacked === undefined ? [] : { name, firstUnacked };
    });
  }

  /** One that has no state here is older than the partition: nothing of it was acked. */
  async #snapshots(log: LogRef): Promise<Watermarks['snapshots']> {
    const known = await this.#catalog.readerIdsOf('snapshots', log.topicId);
    const ids = known.map(({ id }) => id);
    const marks = await this.#states.firstUnackedOfSnapshots(log, ids);
    return known.map(({ name }, at) => ({ name, firstUnacked: marks[at] ?? 1 }));
  }
}
