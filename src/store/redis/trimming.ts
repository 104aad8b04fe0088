import type { LogRef, Watermarks } from '../store.ts';
import type { Catalog } from './catalog.ts';
import type { Logs } from './log.ts';
import type { SubscriptionStates } from './subscription-state.ts';

/**
 * How far a log is needed, and removing what is not (I3). The caller of `trim` decided on what it saw some time ago, and
 * other nodes seek, ack, and make and delete snapshots meanwhile. So a trim looks itself, in an order that matters:
 *
 *     1  how often a subscription was moved here (`mv`: seek and restore count it in the same script that moves)
 *     2  the first unacked offset of each subscription
 *     3  whether somebody is making a snapshot (`hold.lua`): then it removes nothing
 *     4  the first unacked offset of each snapshot
 *     5  removes what all of them are past; each call of `trim.lua` removes nothing if there was a move since 1
 *
 * Between 1 and 5 there was no move, so subscriptions only went forward, and what 2 saw is needed by none of them at 5.
 * A move before 1 shows in 2, whatever became of its snapshot. A move after 5 goes to a snapshot that stands: to one that
 * 4 saw, or to one that it did not. That one was copied after 3 asked, since making it holds the log from before the copy
 * until after the name; it was copied from a subscription as it was at 2 or later, and needs nothing before that. A seek
 * to a time after 5 brings back what is kept by then, as it promises. What a move stopped is left to the next sweep.
 *
 * A subscription that is made meanwhile is owed what is published once it is there. The caller gives up nothing past the
 * head that `watermarks` saw before it asked for names: one that it did not see is owed only what came after that head.
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
    const { moves } = await this.#logs.ends(log); // NOT_FOUND when there is no such log
    const subscriptions = await this.#subscriptions(log);
    if (await this.#logs.isHeld(log)) return;
    const readers = [...subscriptions, ...(await this.#snapshots(log))];
    const needed = readers.reduce((least, { firstUnacked }) => Math.min(least, firstUnacked), beforeOffset);
    await this.#logs.trim(log, needed, moves);
  }

  async watermarks(log: LogRef): Promise<Watermarks> {
    const { first, head, bytes } = await this.#logs.ends(log); // before the names: see above
    const [subscriptions, snapshots] = await Promise.all([this.#subscriptions(log), this.#snapshots(log)]);
    return { first, head, bytes, subscriptions, snapshots };
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
