import { PubSubError } from '../../domain/errors.ts';
import type { LogRef } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Link } from './link.ts';
import { loadScript } from './script.ts';
import { firstUnackedOfSnapshot } from './subscription-state-acked.ts';
import { stateKeys } from './subscription-state-keys.ts';

const create = loadScript('subscription-create');
const copy = loadScript('snapshot');
const stats = loadScript('stats');

/** Makes, copies and removes what subscriptions and snapshots have on the partitions. All of it may be done twice. */
export class SubscriptionStates {
  readonly #link: Link;
  readonly #keys: Keys;

  constructor(link: Link, keys: Keys) {
    this.#link = link;
    this.#keys = keys;
  }

  /** @param from where it starts; the head when absent. @throws NOT_FOUND no such log */
  async create(log: LogRef, subscriptionId: string, from?: number): Promise<void> {
    const { m, s } = stateKeys(this.#keys, log, subscriptionId);
    const cursor = await this.#link.run(create, [m, s], [from ?? ''], { durable: true });
    if (cursor === null) throw new PubSubError('NOT_FOUND', 'The topic was deleted.');
  }

  /** Keeps the acked state of a subscription under the snapshot's id. @throws NOT_FOUND no such subscription */
  async snapshot(log: LogRef, subscriptionId: string, snapshotId: string): Promise<void> {
    const from = stateKeys(this.#keys, log, subscriptionId);
    const to = stateKeys(this.#keys, log, snapshotId);
    const keys = [from.s, from.b, from.q, from.p, from.a, from.o, to.s, to.b, to.q, to.p, to.a];
    const done = await this.#link.run(copy, keys, [], { durable: true });
    if (done === null) throw new PubSubError('NOT_FOUND', 'The subscription was deleted.');
  }

  /** Of a subscription or a snapshot. */
  async remove(log: LogRef, id: string): Promise<void> {
    const { s, b, z, o, k, q, p, a } = stateKeys(this.#keys, log, id);
    await this.#link.command('UNLINK', s, b, z, o, k, q, p, a);
  }

  /** First unacked offset of each subscription on the log; undefined where there is none. */
  firstUnacked(log: LogRef, subscriptionIds: readonly string[]): Promise<(number | undefined)[]> {
    return Promise.all(
      subscriptionIds.map(async (id) => {
        const { m, s, o } = stateKeys(this.#keys, log, id);
        const reply = (await this.#link.run(stats, [m, s, o], [])) as readonly number[] | null;
        return reply?.[2];
      }),
    );
  }

  /** The same of snapshots. */
  firstUnackedOfSnapshots(log: LogRef, snapshotIds: readonly string[]): Promise<(number | undefined)[]> {
    return Promise.all(
      snapshotIds.map(async (id) => {
        const state = (await this.#link.command('GET', stateKeys(this.#keys, log, id).s)) as Buffer | null;
        return state === null ? undefined : firstUnackedOfSnapshot(state);
      }),
    );
  }
}
