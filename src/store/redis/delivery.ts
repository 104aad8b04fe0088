import { PubSubError } from '../../domain/errors.ts';
import type { RetryPolicy } from '../../domain/retry-policy.ts';
import type { LeaseGrant, LeaseRef, LeaseRequest, LogRef, NackOptions, Outcome, SettleOptions } from '../store.ts';
import type { Keys } from './keys.ts';
import { type GrantReply, readGrant } from './lease-grant.ts';
import type { Argument, Link } from './link.ts';
import { loadScript, type Script } from './script.ts';
import { settlements } from './settle-request.ts';
import { restoredRanges } from './subscription-state-acked.ts';
import { type StateKeys, stateKeys } from './subscription-state-keys.ts';

export interface LeaseLimits {
  /** Messages that may be unacked below the cursor, out or waiting to go out again; past it nothing fresh is handed out. */
  readonly heldMax: number;
  readonly blocksMax: number;
  /** Ordered messages that may wait behind their key; past it the cursor stands still. */
  readonly parkedMax: number;
}

export const leaseLimits: LeaseLimits = { heldMax: 1_000_000, blocksMax: 200_000, parkedMax: 100_000 };

export interface DeliveryStats {
  readonly backlog: number;
  readonly outstanding: number;
  readonly firstUnacked: number;
  readonly head: number;
}

/** What one call of `skip` looks at, so that no other client of Redis waits long: blocks and lanes, and messages in them. */
const skipLooksMax = 1000;
const skipMessagesMax = 5000;

const scripts = {
  lease: loadScript('lease'),
  ack: loadScript('ack'),
  modify: loadScript('modify'),
  nack: loadScript('nack'),
  skip: loadScript('skip'),
  seek: loadScript('seek'),
  restore: loadScript('restore'),
  stats: loadScript('stats'),
};

/**
 * One subscription on one partition, as Redis has it: a cursor, lease blocks, lanes. The node keeps nothing, so any
 * number of nodes may use one at the same time, and leases outlive them all.
 *
 * A block is the run of messages that one lease handed out; one small record says which, and only what differs from the
 * rest of its block costs more: see `scripts/block.lua`, `scripts/lanes.lua`. What is below the cursor and in no block
 * and no lane is acked. Every change is one script, so that it happens as a whole or not at all; all due times compare
 * with the time of the server that runs it.
 *
 *     lease    due blocks, messages and lanes: out again in new blocks; then the fresh range, if `from` is the cursor (a
 *              compare-and-set: of two nodes that read ahead of the same cursor, one gets the messages)
 *     ack      a whole block: removed. Part of it: a state digit per message. A settled run frees its lane
 *     nack     a whole block: it waits as one. Part of it: a due time per message. Of a run: it and the rest go back
 *     restore  the cursor goes back to the first unacked message; what was acked past it is stepped over (`a`)
 */
export class Delivery {
  readonly #name: string;
  readonly #link: Link;
  readonly #keys: StateKeys;
  readonly #wake: string;
  readonly #limits: LeaseLimits;
  /** Leases that handed out nothing fresh because a limit was met. */
  limitHits = 0;

  /** @param name of the subscription, for messages to people */
  constructor(link: Link, keys: Keys, log: LogRef, subscriptionId: string, name: string, limits = leaseLimits) {
    this.#name = name;
    this.#link = link;
    this.#keys = stateKeys(keys, log, subscriptionId);
    this.#wake = keys.wakeChannel(log);
    this.#limits = limits;
  }

  /** @throws NOT_FOUND; so does every other method. */
  async lease(request: LeaseRequest): Promise<LeaseGrant> {
    const { m, s, b, z, o, k, q, p, a } = this.#keys;
    const keys = [m, s, b, z, o, k, q, p, a];
    const reply = await this.#run(scripts.lease, keys, this.#leaseArguments(request), request.durable);
    const { grant, limited } = readGrant(reply as GrantReply);
    if (limited) this.limitHits++;
    return grant;
  }

  /** Durable on return. */
  ack(refs: readonly LeaseRef[], options: SettleOptions): Promise<Outcome[]> {
    const { s, b, z, o, k, q, p } = this.#keys;
    return this.#settle(scripts.ack, [s, b, z, o, k, q, p], refs, options, [], true);
  }

  /** Durable where the lease was: a failover must not end it early. */
  modifyDeadline(refs: readonly LeaseRef[], ackDeadlineMs: number, options: SettleOptions): Promise<Outcome[]> {
    const { s, b, z, o } = this.#keys;
    return this.#settle(scripts.modify, [s, b, z, o], refs, options, [ackDeadlineMs], options.strict);
  }

  nack(refs: readonly LeaseRef[], options: NackOptions): Promise<Outcome[]> {
    const { s, b, z, o, k, q, p } = this.#keys;
    const rest = [...backoffArguments(options.retry), options.counted ? 1 : 0];
    return this.#settle(scripts.nack, [s, b, z, o, k, q, p], refs, options, rest, false);
  }

  /** Everything before `offset` acked, everything from it on not; every lease ends. Durable on return. */
  async seek(offset: number): Promise<void> {
    const { s, b, z, o, k, q, p, a, m } = this.#keys;
    await this.#run(scripts.seek, [s, b, z, o, k, q, p, a, m], [offset, this.#wake], true);
  }

  /** Acks everything before `offset`. Durable on return. */
  async skipTo(offset: number): Promise<void> {
    const { s, b, z, o, k, q, p, a } = this.#keys;
    for (let more: unknown = 1; more === 1; ) {
      const args = [this.#link.now(), offset, skipLooksMax, skipMessagesMax, this.#wake];
      more = await this.#run(scripts.skip, [s, b, z, o, k, q, p, a], args, true);
    }
  }

  /** Takes over the acked state that a snapshot kept; every lease ends. Durable on return. @throws NOT_FOUND */
  async restore(snapshot: StateKeys): Promise<void> {
    const { s, b, z, o, k, q, p, a, m } = this.#keys;
    const ranges = await restoredRanges(this.#link, snapshot, this.#keys);
    const keys = [s, b, z, o, k, q, p, a, m, snapshot.s, ranges.key];
    const done = await this.#run(scripts.restore, keys, [ranges.offsets, this.#wake], true);
    if (done === 0) throw new PubSubError('NOT_FOUND', 'The snapshot was deleted.');
  }

  async stats(): Promise<DeliveryStats> {
    const { m, s, o } = this.#keys;
    const reply = (await this.#run(scripts.stats, [m, s, o], [])) as [number, number, number, number];
    return { backlog: reply[0], outstanding: reply[1], firstUnacked: reply[2], head: reply[3] };
  }

  #leaseArguments({ messagesMax, ackDeadlineMs, retry, attemptMin, fresh }: LeaseRequest): Argument[] {
    const { heldMax, blocksMax, parkedMax } = this.#limits;
    const numbers = [
      ...[messagesMax, ackDeadlineMs, retry?.minimumBackoffMs ?? -1, retry?.maximumBackoffMs ?? -1, attemptMin ?? 0],
      ...[fresh?.from ?? 0, fresh?.count ?? 0, heldMax, blocksMax, parkedMax],
    ];
    const { skip, lanes, generation = '' } = fresh ?? {};
    return [this.#link.now(), packDoubles(numbers), bytesOf(skip), bigEndian(lanes), generation];
  }

  /** Call after call, in the order given: what failed has settled a part of it, which the caller may repeat. */
  async #settle(
    script: Script,
    keys: readonly string[],
    refs: readonly LeaseRef[],
    { strict }: SettleOptions,
    rest: readonly Argument[],
    durable: boolean,
  ): Promise<Outcome[]> {
    const settled: Outcome[][] = [];
    for (const { packed, outcomes } of settlements(refs)) {
      const args = [this.#link.now(), packed, strict ? 1 : 0, this.#wake, ...rest];
      settled.push(outcomes((await this.#run(script, keys, args, durable)) as readonly Buffer[]));
    }
    return settled.flat();
  }

  async #run(script: Script, keys: readonly string[], args: readonly Argument[], durable = false): Promise<unknown> {
    const reply = await this.#link.run(script, keys, args, { durable });
    if (reply === null) throw new PubSubError('NOT_FOUND', `There is no subscription ${this.#name}.`);
    return reply;
  }
}

function backoffArguments(retry: RetryPolicy | undefined): readonly Argument[] {
  return retry ? [retry.minimumBackoffMs, retry.maximumBackoffMs] : ['', ''];
}

function packDoubles(numbers: readonly number[]): Buffer {
  const packed = Buffer.allocUnsafe(numbers.length * 8);
  numbers.forEach((number, at) => void packed.writeDoubleBE(number, at * 8));
  return packed;
}

function bytesOf(skip: Uint8Array | undefined): Argument {
  return skip ? Buffer.from(skip.buffer, skip.byteOffset, skip.byteLength) : '';
}

function bigEndian(lanes: Uint32Array | undefined): Argument {
  return lanes ? Buffer.from(lanes.slice().buffer).swap32() : '';
}
