import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Delivery, type LeaseLimits, leaseLimits } from '../../src/store/redis/delivery.ts';
import { Keys } from '../../src/store/redis/keys.ts';
import { SubscriptionStates } from '../../src/store/redis/subscription-state.ts';
import { stateKeys } from '../../src/store/redis/subscription-state-keys.ts';
import type { LeaseGrant, LeaseRef, LeaseRequest } from '../../src/store/store.ts';
import { type BareLink, openBareLink } from '../support/bare-link.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

const log = { topicId: 'topic', partition: 0 };
const lax = { strict: false };
const counted = { strict: false, retry: undefined, counted: true };

/** The delivery half alone, on a log of which only the head exists: what the contract and the model do not reach. */
describe('deliveries in Redis', () => {
  let server: RedisServer;
  let link: BareLink;
  let clock: VirtualClock;
  let keys: Keys;
  let states: SubscriptionStates;
  let delivery: Delivery;
  let prefixes = 0;

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.remove());

  beforeEach(async () => {
    clock = virtualClock();
    link = openBareLink(server.port, clock);
    keys = new Keys(`d${++prefixes}:`);
    states = new SubscriptionStates(link, keys);
    await appendUpTo(1);
    await states.create(log, 's');
    delivery = deliveryWith({});
  });
  afterEach(() => void link.redis.disconnect());

  const appendUpTo = (head: number) => link.command('HSET', keys.partition(log).meta, 'h', head);
  const deliveryWith = (limits: Partial<LeaseLimits>, by = link) =>
    new Delivery(by, keys, log, 's', 'projects/p/subscriptions/s', { ...leaseLimits, ...limits });

  function request(messagesMax: number, changes: Partial<LeaseRequest> = {}): LeaseRequest {
    return { messagesMax, ackDeadlineMs: 10_000, retry: undefined, keepAttempts: false, ...changes };
  }

  async function lease(max: number, lanes?: (offset: number) => number, from = delivery): Promise<LeaseGrant> {
    const { cursor, head } = await from.lease(request(0));
    const count = head - cursor;
    const laneOf = lanes && Uint32Array.from({ length: count }, (_, i) => lanes(cursor + i));
    return from.lease(request(max, { fresh: { from: cursor, count, ...(laneOf && { lanes: laneOf }) } }));
  }

  async function keysInUse(): Promise<string[]> {
    const { m, s, ...rest } = stateKeys(keys, log, 's');
    const found = await Promise.all(
      Object.values(rest).map(async (key) => ((await link.redis.exists(key)) ? [key] : [])),
    );
    return found.flat();
  }

  for (const ordered of [false, true]) {
    for (const filtered of [false, true]) {
      const what = `${ordered ? 'ordered' : 'unordered'}${filtered ? ' and filtered' : ''}`;
      it(`two nodes race for one cursor - nothing is handed out twice or passed over, ${what} (I3 I4 I5)`, async () => {
        const other = openBareLink(server.port, clock);
        const count = 2998; // the last one is not filtered out, or nobody would look at it
        await appendUpTo(count + 1);
        const race = new Race(ordered, filtered, count);
        try {
          await Promise.all([race.drain(delivery), race.drain(deliveryWith({}, other)), race.drain(delivery)]);
        } finally {
          other.redis.disconnect();
        }
        expect(race.seen.size).toBe(race.wanted);
        expect(await delivery.stats()).toMatchObject({ backlog: 0, outstanding: 0, firstUnacked: count + 1 });
        expect(await keysInUse()).toEqual([]);
      });
    }
  }

  it('limits - the cursor stands still at heldMax and at blocksMax, redelivery goes on, and both are counted', async () => {
    await appendUpTo(100);
    for (const limits of [{ heldMax: 20 }, { blocksMax: 2 }]) {
      await delivery.seek(1);
      const limited = deliveryWith(limits);
      await lease(10, undefined, limited);
      await lease(10, undefined, limited);
      expect((await lease(10, undefined, limited)).blocks).toEqual([]);
      expect(limited.limitHits).toBe(1);
      clock.advance(10_000);
      expect(offsetsOf(await limited.lease(request(50)))).toHaveLength(20);
    }
  });

  it('limits - the cursor stands still at parkedMax until keys are settled', async () => {
    await appendUpTo(100);
    const limited = deliveryWith({ parkedMax: 5 });
    const first = await lease(1, () => 7, limited);
    expect((await lease(50, () => 7, limited)).cursor).toBe(7);
    expect(limited.limitHits).toBe(1);
    await limited.ack(refsOf(first), lax);
    expect(offsetsOf(await limited.lease(request(50)))).toEqual([2, 3, 4, 5, 6]);
  });

  it('a hot key - what is parked past the first fifty comes in order, run by run, and leaves nothing behind (I5)', async () => {
    await appendUpTo(501);
    let held = refsOf(await lease(1, () => 7));
    await lease(200, () => 7);
    const order = held.map(({ offset }) => offset);
    while (held.length > 0) {
      await delivery.ack(held, lax);
      held = refsOf(await lease(70, () => 7));
      order.push(...held.map(({ offset }) => offset));
    }
    expect(order).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    expect(await keysInUse()).toEqual([]);
  });

  it('one call looks at a bounded number of due messages, and the next goes on', async () => {
    await appendUpTo(3001);
    const refs = refsOf(await lease(3000));
    await delivery.nack(
      refs.filter(({ index }) => index % 2 === 0),
      counted,
    );
    const first = offsetsOf(await delivery.lease(request(3000)));
    expect(first).toHaveLength(1000);
    const second = offsetsOf(await delivery.lease(request(3000)));
    expect(new Set([...first, ...second]).size).toBe(1500);
  });

  it('a sweep for spent messages finds them in the end, behind more that are due than one call looks at', async () => {
    await appendUpTo(2302);
    await delivery.nack(refsOf(await lease(1)), counted);
    const spent = refsOf(await delivery.lease(request(1)));
    const others = refsOf(await lease(2300));
    await delivery.nack(
      others.filter(({ index }) => index % 2 === 0),
      counted,
    );
    clock.advance(1);
    await delivery.nack(spent, counted);
    expect(offsetsOf(await delivery.lease(request(10, { attemptMin: 3 })))).toEqual([]);
    const found = await delivery.lease(request(10, { attemptMin: 3 }));
    expect(found.blocks).toMatchObject([{ offsets: [1], attempts: [3] }]);
    expect(offsetsOf(await delivery.lease(request(1500)))).toHaveLength(1000);
  });

  it('a sweep walks over a bounded number of expired ordered messages a call, and says that there are more (I8)', async () => {
    await appendUpTo(3001);
    for (let block = 0; block < 3; block++) await lease(1000, (offset) => offset);
    clock.advance(10_000);
    const blocksLeft: number[] = [];
    for (let more = true; more; ) {
      more = (await delivery.lease(request(10, { attemptMin: 3 }))).more ?? false;
      blocksLeft.push(await link.redis.hlen(stateKeys(keys, log, 's').b));
    }
    expect(blocksLeft.every((left, at) => left >= (blocksLeft[at - 1] ?? 3) - 1)).toBe(true);
    expect(blocksLeft.at(-1)).toBe(0);
    expect(await delivery.stats()).toMatchObject({ backlog: 3000, outstanding: 0 });
  });

  it('what settles thousands of single messages goes in bounded calls, with the outcomes in order (I8)', async () => {
    await appendUpTo(3001);
    const refs = refsOf(await lease(3000));
    const { calls, link: counting } = countingCalls(link);
    const even = refs.filter(({ index }) => index % 2 === 0);
    const stale = even.map((ref, at) => (at % 2 === 0 ? ref : { ...ref, epoch: ref.epoch + 1 }));
    expect(await deliveryWith({}, counting).ack(stale, lax)).toEqual(
      stale.map((_, at) => (at % 2 === 0 ? 'ok' : 'stale')),
    );
    expect(calls).toHaveLength(6);
    expect(await delivery.stats()).toMatchObject({ backlog: 2250 });
    expect(await deliveryWith({}, counting).ack([], lax)).toEqual([]);
  });

  it('a block that is settled whole is one reference, however many are settled with it', async () => {
    await appendUpTo(9001);
    const refs: LeaseRef[] = [];
    for (let block = 0; block < 9; block++) refs.push(...refsOf(await lease(1000)));
    const { calls, link: counting } = countingCalls(link);
    expect(await deliveryWith({}, counting).ack(refs, lax)).toEqual(new Array(9000).fill('ok'));
    expect(calls).toHaveLength(2);
    expect(await keysInUse()).toEqual([]);
  });

  it('skipping ahead looks at a bounded number of messages a call (I8)', async () => {
    await appendUpTo(20_001);
    for (let block = 0; block < 20; block++) await lease(1000);
    const { calls, link: counting } = countingCalls(link);
    await deliveryWith({}, counting).skipTo(20_001);
    expect(calls.length).toBeGreaterThanOrEqual(4);
    expect(await keysInUse()).toEqual([]);
  });

  it('attempts are counted up to 65535, and stay there', async () => {
    await appendUpTo(5);
    const { b } = stateKeys(keys, log, 's');
    const often = await lease(2);
    const [id] = await link.redis.hkeys(b);
    const packed = (await link.redis.hgetBuffer(b, id!))!;
    packed.writeUInt16BE(65_535, 11);
    await link.redis.hset(b, id!, packed);
    const once = await lease(2);
    await delivery.nack([refsOf(often)[0]!, refsOf(once)[0]!], counted);
    expect((await delivery.lease(request(9))).blocks).toMatchObject([{ offsets: [1, 3], attempts: [65_535, 2] }]);
  });

  it('skipping ahead drops what is out, back and parked before the offset, and frees what waited behind it', async () => {
    await appendUpTo(301);
    const even = (offset: number) => (offset % 2 === 0 ? 8 : 7);
    const first = refsOf(await lease(10, even));
    await lease(10, even); // parks the rest
    await delivery.nack(first.slice(2, 3), counted);
    await delivery.skipTo(151);
    expect(await delivery.stats()).toMatchObject({ backlog: 150, outstanding: 0, firstUnacked: 151 });
    expect(offsetsOf(await lease(200, even))).toEqual(Array.from({ length: 150 }, (_, i) => 151 + i));
  });

  it('a snapshot with thousands of scattered acks is restored, key by key in order, and may be again', async () => {
    await appendUpTo(5001);
    const refs = refsOf(await lease(4000));
    await delivery.ack(
      refs.filter(({ offset }) => offset % 2 === 0),
      lax,
    );
    await states.snapshot(log, 's', 'n');
    await delivery.seek(5001);
    for (let times = 0; times < 2; times++) {
      await delivery.restore(stateKeys(keys, log, 'n'));
      expect(await delivery.stats()).toMatchObject({ backlog: 3000, outstanding: 0, firstUnacked: 1 });
      const again: number[] = [];
      for (let left = 1; left > 0; ) {
        const grant = await lease(700, () => 7);
        left = grant.blocks.length;
        again.push(...offsetsOf(grant));
        await delivery.ack(refsOf(grant), lax);
      }
      expect(again).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1).filter((it) => it > 4000 || it % 2 === 1));
    }
    await states.remove(log, 'n');
    await expect(delivery.restore(stateKeys(keys, log, 'n'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('a snapshot of a subscription that is itself halfway through a restore keeps what was acked', async () => {
    await appendUpTo(101);
    const refs = refsOf(await lease(100));
    await delivery.ack(refs.slice(40, 60), lax);
    await states.snapshot(log, 's', 'n1');
    await delivery.restore(stateKeys(keys, log, 'n1'));
    await delivery.ack(refsOf(await lease(10)), lax);
    await states.snapshot(log, 's', 'n2');
    expect(await states.firstUnackedOfSnapshots(log, ['n1', 'n2', 'none'])).toEqual([1, 11, undefined]);
    await delivery.seek(1);
    await delivery.restore(stateKeys(keys, log, 'n2'));
    expect(offsetsOf(await lease(200))).toEqual(Array.from({ length: 70 }, (_, i) => (i < 30 ? 11 : 31) + i));
  });

  it('a whole block that is given back waits as one entry, and counts only if it was tried', async () => {
    await appendUpTo(101);
    const retry = { minimumBackoffMs: 1000, maximumBackoffMs: 60_000 };
    const first = await lease(100);
    await delivery.nack(refsOf(first), { strict: false, retry, counted: false });
    expect(await link.redis.zcard(stateKeys(keys, log, 's').z)).toBe(1);
    const again = await delivery.lease(request(100));
    expect(again.blocks[0]!.attempts[0]).toBe(1);
    expect(await delivery.ack(refsOf(first), lax)).toEqual(new Array(100).fill('stale'));
    await delivery.nack(refsOf(again), { strict: false, retry, counted: true });
    expect((await delivery.lease(request(40))).blocks).toEqual([]);
    clock.advance(1000);
    const part = await delivery.lease(request(40));
    expect(part.blocks[0]).toMatchObject({ offsets: { length: 40 }, attempts: new Array(40).fill(2) });
    expect((await delivery.stats()).outstanding).toBe(40);
  });

  it('says that a subscription is not there, whatever is asked of it', async () => {
    await states.remove(log, 's');
    const notFound = { code: 'NOT_FOUND' };
    const ref = { epoch: 0, block: 1, index: 0, offset: 1 };
    await expect(delivery.lease(request(1))).rejects.toMatchObject(notFound);
    await expect(delivery.ack([ref], lax)).rejects.toMatchObject(notFound);
    await expect(delivery.nack([ref], counted)).rejects.toMatchObject(notFound);
    await expect(delivery.modifyDeadline([ref], 1, lax)).rejects.toMatchObject(notFound);
    await expect(delivery.seek(1)).rejects.toMatchObject(notFound);
    await expect(delivery.skipTo(1)).rejects.toMatchObject(notFound);
    await expect(delivery.stats()).rejects.toMatchObject(notFound);
    expect(await states.firstUnacked(log, ['s'])).toEqual([undefined]);
  });

  it('a made-up reference past the end of a block settles nothing (I3)', async () => {
    await appendUpTo(21);
    const [first] = refsOf(await lease(10));
    const past = Array.from({ length: 10 }, (_, i) => ({ ...first!, index: 5 + i, offset: 6 + i }));
    expect(await delivery.ack(past, lax)).toEqual(Array.from({ length: 10 }, (_, i) => (i < 5 ? 'ok' : 'stale')));
    expect(await delivery.stats()).toMatchObject({ backlog: 15, outstanding: 5, firstUnacked: 1 });
    expect(offsetsOf(await lease(20))).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });

  it('keeps offsets past 32 bits apart', async () => {
    const far = 2 ** 32 * 5 - 3;
    await appendUpTo(far + 6);
    await delivery.seek(far);
    const skip = Uint8Array.from([0, 1, 0, 0, 1, 0]);
    const grant = await delivery.lease(request(9, { fresh: { from: far, count: 6, skip } }));
    expect(offsetsOf(grant)).toEqual([far, far + 2, far + 3, far + 5]);
    await delivery.ack(refsOf(grant).slice(1, 2), lax);
    clock.advance(10_000);
    expect(offsetsOf(await delivery.lease(request(9)))).toEqual([far, far + 3, far + 5]);
  });
});

/** Every script that is run is noted. */
function countingCalls(link: BareLink): { calls: string[]; link: BareLink } {
  const calls: string[] = [];
  const run: BareLink['run'] = (script, ...rest) => {
    calls.push(script.name);
    return link.run(script, ...rest);
  };
  return { calls, link: { ...link, run } };
}

/** Several callers drain one subscription at once and look for what must not happen. */
class Race {
  readonly seen = new Set<number>();
  readonly #lastOfLane = new Map<number, number>();
  readonly #ordered: boolean;
  readonly #filtered: boolean;
  readonly #count: number;

  constructor(ordered: boolean, filtered: boolean, count: number) {
    this.#ordered = ordered;
    this.#filtered = filtered;
    this.#count = count;
  }

  get wanted(): number {
    return Array.from({ length: this.#count }, (_, i) => i + 1).filter((offset) => !this.#skips(offset)).length;
  }

  async drain(delivery: Delivery): Promise<void> {
    let cursor = 1;
    for (let turns = 0; this.seen.size < this.wanted; turns++) {
      if (turns > 5000) throw new Error(`I3: ${this.wanted - this.seen.size} messages never came.`);
      const grant = await delivery.lease(this.#request(cursor));
      cursor = grant.cursor;
      this.#look(grant);
      await delivery.ack(refsOf(grant), lax);
    }
  }

  #look(grant: LeaseGrant): void {
    for (const offset of offsetsOf(grant)) {
      if (this.seen.has(offset)) throw new Error(`I4: ${offset} was handed out twice.`);
      this.seen.add(offset);
      if (!this.#ordered) continue;
      const lane = this.#laneOf(offset);
      if ((this.#lastOfLane.get(lane) ?? 0) > offset) throw new Error(`I5: ${offset} came late.`);
      this.#lastOfLane.set(lane, offset);
    }
  }

  #request(from: number): LeaseRequest {
    const count = Math.min(200, this.#count + 1 - from);
    const offsets = Array.from({ length: count }, (_, i) => from + i);
    const skip = this.#filtered && { skip: Uint8Array.from(offsets, (offset) => Number(this.#skips(offset))) };
    const lanes = this.#ordered && { lanes: Uint32Array.from(offsets, (offset) => this.#laneOf(offset)) };
    const fresh = { from, count, ...skip, ...lanes };
    return { messagesMax: 20, ackDeadlineMs: 600_000, retry: undefined, keepAttempts: false, fresh };
  }

  #skips(offset: number): boolean {
    return this.#filtered && offset % 3 === 0;
  }

  #laneOf(offset: number): number {
    return 1 + ((offset * 7919) % 40);
  }
}

function offsetsOf({ blocks }: LeaseGrant): number[] {
  return blocks.flatMap(({ offsets }) => offsets).sort((a, b) => a - b);
}

function refsOf({ epoch, blocks }: LeaseGrant): LeaseRef[] {
  return blocks.flatMap(({ block, offsets }) => offsets.map((offset, index) => ({ epoch, block, index, offset })));
}
