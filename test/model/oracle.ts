import { backoffMs, type RetryPolicy } from '../../src/domain/retry-policy.ts';
import type { LeasedBlock, LeaseGrant, LeaseRef, Outcome } from '../../src/store/store.ts';

/** What one seed fixes about its subscription. */
export interface Setup {
  readonly ordered: boolean;
  readonly strict: boolean;
  readonly filtered: boolean;
  readonly keepAttempts: boolean;
  readonly retry: RetryPolicy | undefined;
}

/** A reference that some lease gave out, from the life of the store (between restarts) that gave it. */
export interface KnownRef {
  readonly ref: LeaseRef;
  readonly life: number;
}

type State = 'fresh' | 'out' | 'ahead' | 'back' | 'acked';

interface Message {
  readonly offset: number;
  readonly lane: number;
  state: State;
  block: number;
  index: number;
  deadlineMs: number;
  /** When a message that is `back` may go out. */
  dueMs: number;
  /** The attempt number that the next delivery may have. */
  attemptLow: number;
  attemptHigh: number;
  /** Acked by `skipTo` while it may have been out. */
  skipped: boolean;
}

/**
 * A subscription as the port's essay tells it, without cursor tricks, heaps or disks: one record per message. It says
 * what a store may answer and takes over what it did answer where the port leaves room (a lease that has expired may or
 * may not have been noticed yet). Every `throw` names the invariant.
 */
export class Oracle {
  readonly setup: Setup;
  readonly #messages = new Map<number, Message>();
  #cursor = 1;
  #epoch = 0;
  #life = 0;
  readonly #blocks = new Set<number>();
  head = 1;

  constructor(setup: Setup) {
    this.setup = setup;
  }

  get cursor(): number {
    return this.#cursor;
  }

  get life(): number {
    return this.#life;
  }

  appended(firstOffset: number, lanes: readonly number[]): void {
    if (firstOffset !== this.head) throw new Error(`offsets are not dense: ${firstOffset}, expected ${this.head}`);
    for (const lane of lanes) this.#messages.set(this.head, freshMessage(this.head++, lane));
  }

  laneOf(offset: number): number {
    return this.setup.ordered ? (this.#messages.get(offset)?.lane ?? 0) : 0;
  }

  skips(offset: number): boolean {
    return this.setup.filtered && offset % 3 === 0;
  }

  get backlog(): number {
    return this.#unacked().length;
  }

  /** A lease that has expired, or whose message was skipped, counts until somebody looks. */
  get outstandingMax(): number {
    return [...this.#messages.values()].filter(({ state, skipped }) => state === 'out' || skipped).length;
  }

  /** What is certainly out: nobody can have noticed yet that its lease, or that of an earlier one of its run, is over. */
  outstandingMin(nowMs: number): number {
    const isOut = (message: Message) => message.state === 'out' && !message.skipped;
    const mayBeBack = (message: Message) =>
      [...this.#earlierInRun(message), message].some((it) => hasExpired(it, nowMs));
    return [...this.#messages.values()].filter((message) => isOut(message) && !mayBeBack(message)).length;
  }

  get firstUnacked(): number {
    return this.#unacked()[0]?.offset ?? this.head;
  }

  /** Offsets acked, for a snapshot. */
  ackedState(): { head: number; acked: ReadonlySet<number> } {
    const acked = [...this.#messages.values()].filter(({ state }) => state === 'acked').map(({ offset }) => offset);
    return { head: this.head, acked: new Set(acked) };
  }

  /** @param all the caller offered everything from the cursor to the head */
  leased(grant: LeaseGrant, max: number, ackDeadlineMs: number, nowMs: number): void {
    if (grant.epoch !== this.#epoch) throw new Error(`epoch ${grant.epoch}, expected ${this.#epoch}`);
    const granted = new Set(grant.blocks.flatMap(({ offsets }) => offsets));
    if (granted.size > max) throw new Error(`${granted.size} messages for a limit of ${max}`);
    this.#cursorMoved(grant.cursor, granted);
    for (const block of grant.blocks) this.#checkBlock(block, nowMs);
    if (granted.size < max) this.#checkComplete(granted, nowMs);
    for (const block of grant.blocks) this.#takeOver(block, ackDeadlineMs, nowMs);
  }

  acked({ ref, life }: KnownRef, outcome: Outcome, nowMs: number): void {
    const message = this.#messages.get(ref.offset);
    const current = message && this.#isCurrent(message, ref, life);
    this.#mustBe(`ack of ${ref.offset}`, outcome, this.#allowedAck(message, current === true, life, ref, nowMs));
    if (outcome !== 'ok' || !message || message.state === 'ahead' || message.skipped) return;
    const blocked = current && this.#earlierInRun(message).length > 0;
    message.state = blocked ? 'ahead' : 'acked';
    if (!blocked && current) this.#cascade(message);
  }

  nacked({ ref, life }: KnownRef, counted: boolean, outcome: Outcome, nowMs: number): void {
    const message = this.#messages.get(ref.offset);
    const current = message !== undefined && this.#isCurrent(message, ref, life);
    const allowed = current && message.state !== 'ahead' ? this.#allowedTouch(message, nowMs) : stale(message);
    this.#mustBe(`nack of ${ref.offset}`, outcome, allowed);
    if (outcome !== 'ok' || !message || message.skipped) return;
    const dueMs = counted ? nowMs + backoffMs(this.setup.retry, message.attemptHigh - 1) : nowMs;
    for (const later of this.#laterInRun(message)) this.#giveBack(later, dueMs, false, hasExpired(later, nowMs));
    this.#giveBack(message, dueMs, counted, counted);
    for (const other of this.#lane(message)) if (other.state === 'back') other.dueMs = dueMs;
  }

  modified({ ref, life }: KnownRef, ackDeadlineMs: number, outcome: Outcome, nowMs: number): void {
    const message = this.#messages.get(ref.offset);
    const current = message !== undefined && this.#isCurrent(message, ref, life);
    const allowed = current ? this.#allowedTouch(message, nowMs) : stale(message);
    this.#mustBe(`deadline of ${ref.offset}`, outcome, allowed);
    if (outcome === 'ok' && message?.state === 'out') message.deadlineMs = nowMs + ackDeadlineMs;
  }

  sought(offset: number): void {
    this.#restart((message) => message.offset < offset);
  }

  restored(snapshot: { head: number; acked: ReadonlySet<number> }): void {
    this.#restart(({ offset }) => snapshot.acked.has(offset));
  }

  /** Retention passed: what is still out may be settled, to no effect. */
  skippedTo(offset: number): void {
    for (const message of this.#messages.values()) {
      if (message.offset >= offset || message.state === 'acked') continue;
      message.state = 'acked';
      message.skipped = true;
    }
    this.#cursor = Math.max(this.#cursor, offset);
  }

  /**
   * Where leases are in memory they end, and what is on disk stays: attempts above one may be remembered, or not.
   * @param leasesSurvive they are kept with the rest: nobody notices anything
   */
  reopened(leasesSurvive: boolean): void {
    if (leasesSurvive) return;
    for (const message of this.#messages.values()) {
      // One more: what was given back uncounted had been saved with the number that it went out with.
      const high = this.setup.keepAttempts ? message.attemptHigh + 1 : 1;
      if (message.state !== 'acked') Object.assign(message, { state: 'fresh', attemptLow: 1, attemptHigh: high });
    }
    this.#cursor = 0;
    this.#life++;
  }

  #restart(isAcked: (message: Message) => boolean): void {
    for (const message of this.#messages.values()) {
      const fresh = freshMessage(message.offset, message.lane);
      Object.assign(message, fresh, { state: isAcked(message) ? 'acked' : 'fresh' });
    }
    this.#cursor = 0;
    this.#epoch++;
  }

  // Leases.

  /** Every unordered message that the cursor passed was handed out, rejected by the filter, or acked before. */
  #cursorMoved(cursor: number, granted: ReadonlySet<number>): void {
    if (cursor < this.#cursor || cursor > this.head) throw new Error(`cursor ${cursor} is not past ${this.#cursor}`);
    for (let offset = Math.max(this.#cursor, 1); offset < cursor; offset++) {
      const message = this.#messages.get(offset)!;
      if (message.state !== 'fresh') continue;
      if (this.skips(offset)) message.state = 'acked';
      else if (this.laneOf(offset) === 0 && !granted.has(offset)) throw new Error(`I3: ${offset} was passed over`);
    }
    this.#cursor = cursor;
  }

  #checkBlock(block: LeasedBlock, nowMs: number): void {
    if (this.#blocks.has(block.block)) throw new Error(`I4: block ${block.block} was used before`);
    this.#blocks.add(block.block);
    const together = new Set(block.offsets);
    block.offsets.forEach((offset, index) => {
      const message = this.#messages.get(offset);
      if (!message) throw new Error(`I3: ${offset} was never appended`);
      if (message.state === 'acked') throw new Error(`I2: ${offset} was acked`);
      if (!this.#mayGoOut(message, nowMs)) throw new Error(`I4: ${offset} is out or not due yet`);
      this.#checkAttempt(message, block.attempts[index]!, nowMs);
      for (const earlier of this.#earlierUnacked(message)) {
        if (!together.has(earlier.offset)) throw new Error(`I5: ${offset} overtook ${earlier.offset}`);
      }
    });
  }

  /** Whatever may go out did, as there was room for more. Of a key only the first message is owed. */
  #checkComplete(granted: ReadonlySet<number>, nowMs: number): void {
    for (const message of this.#unacked()) {
      if (granted.has(message.offset) || this.#earlierUnacked(message).length > 0) continue;
      if (message.state === 'fresh' && this.skips(message.offset)) continue;
      if (message.state !== 'ahead' && this.#mayGoOut(message, nowMs)) {
        throw new Error(`I3: ${message.offset} is due and there was room, but it was not handed out`);
      }
    }
  }

  #mayGoOut(message: Message, nowMs: number): boolean {
    if (message.state === 'fresh') return true;
    if (message.state === 'back' && message.dueMs <= nowMs) return true;
    // What came back of a lane goes out with the earlier message that failed last, when that is due.
    const before = message.state === 'back' ? this.#earlierUnacked(message) : this.#earlierInRun(message);
    const failed = [...before, message].find((it) => hasExpired(it, nowMs));
    return failed !== undefined && failed.deadlineMs + backoffMs(this.setup.retry, failed.attemptHigh - 1) <= nowMs;
  }

  #checkAttempt(message: Message, attempt: number, nowMs: number): void {
    const { attemptLow, attemptHigh, state } = message;
    const sentBack = state !== 'fresh' && state !== 'back' && this.#earlierInRun(message).length > 0;
    const low = sentBack ? attemptHigh - 1 : attemptLow;
    const high = sentBack && (state === 'ahead' || message.deadlineMs > nowMs) ? attemptHigh - 1 : attemptHigh;
    if (attempt < low || attempt > high) {
      throw new Error(`attempt ${attempt} of ${message.offset} (${state}) is not in ${low}..${high}`);
    }
  }

  #takeOver(block: LeasedBlock, ackDeadlineMs: number, nowMs: number): void {
    const granted = new Set(block.offsets);
    for (const offset of block.offsets) {
      const message = this.#messages.get(offset)!;
      for (const later of this.#laterInRun(message)) {
        if (!granted.has(later.offset)) this.#giveBack(later, nowMs, false, hasExpired(later, nowMs));
      }
      // What came back of the lane and did not fit goes out as soon as these are settled.
      for (const other of this.#lane(message)) if (other.state === 'back') other.dueMs = Math.min(other.dueMs, nowMs);
    }
    block.offsets.forEach((offset, index) => {
      const message = this.#messages.get(offset)!;
      const next = block.attempts[index]! + 1;
      const deadlineMs = nowMs + ackDeadlineMs;
      Object.assign(message, { state: 'out', block: block.block, index, deadlineMs });
      Object.assign(message, { attemptLow: next, attemptHigh: next });
    });
  }

  #giveBack(message: Message, dueMs: number, surely: boolean, maybe: boolean): void {
    message.attemptLow = message.attemptHigh - (surely ? 0 : 1);
    message.attemptHigh -= maybe ? 0 : 1;
    message.state = 'back';
    message.dueMs = dueMs;
  }

  // References.

  #isCurrent(message: Message, ref: LeaseRef, life: number): boolean {
    const out = message.state === 'out' || message.state === 'ahead';
    const same = message.block === ref.block && message.index === ref.index;
    return out && same && ref.epoch === this.#epoch && life === this.#life;
  }

  #allowedAck(
    message: Message | undefined,
    current: boolean,
    life: number,
    ref: LeaseRef,
    nowMs: number,
  ): readonly Outcome[] {
    if (!message || message.skipped) return stale(message);
    if (!current) {
      const fromBefore = life < this.#life && message.state === 'fresh' && ref.epoch === this.#epoch;
      return fromBefore && !this.setup.strict && !this.setup.ordered ? ['ok', 'stale'] : stale(message);
    }
    const unsettled = this.#earlierInRun(message).some(({ state }) => state !== 'acked');
    const touch = this.#allowedTouch(message, nowMs);
    return this.setup.strict && unsettled ? touch.map((it) => (it === 'ok' ? 'unordered' : it)) : touch;
  }

  /** Of a current reference: a lease past its deadline may have been noticed and sent back, with the rest of its run. */
  #allowedTouch(message: Message, nowMs: number): readonly Outcome[] {
    const expired = message.deadlineMs <= nowMs;
    if (this.setup.strict && expired) return ['stale'];
    const before = this.#earlierInRun(message).some((it) => hasExpired(it, nowMs));
    const keyed = this.laneOf(message.offset) !== 0;
    return keyed && (expired || before) ? ['ok', 'stale'] : ['ok'];
  }

  #cascade(acked: Message): void {
    for (const later of this.#laterInRun(acked)) {
      if (later.state !== 'ahead') return;
      later.state = 'acked';
    }
  }

  // Runs and lanes.

  #run(message: Message): Message[] {
    if (message.state !== 'out' && message.state !== 'ahead' && message.state !== 'acked') return [];
    return this.#lane(message).filter(
      (it) => it.block === message.block && it.state !== 'fresh' && it.state !== 'back',
    );
  }

  #earlierInRun(message: Message): Message[] {
    return this.#run(message).filter(({ offset, state }) => offset < message.offset && state !== 'acked');
  }

  #laterInRun(message: Message): Message[] {
    return this.#run(message).filter(({ offset, state }) => offset > message.offset && state !== 'acked');
  }

  #lane(message: Message): Message[] {
    const lane = this.laneOf(message.offset);
    if (lane === 0) return [message];
    return [...this.#messages.values()].filter((it) => it.lane === lane);
  }

  #earlierUnacked(message: Message): Message[] {
    return this.#lane(message).filter((it) => it.offset < message.offset && it.state !== 'acked' && !this.#gone(it));
  }

  #gone(message: Message): boolean {
    return message.state === 'fresh' && this.skips(message.offset);
  }

  #unacked(): Message[] {
    return [...this.#messages.values()].filter(({ state }) => state !== 'acked');
  }

  #mustBe(what: string, outcome: Outcome, allowed: readonly Outcome[]): void {
    if (!allowed.includes(outcome)) throw new Error(`${what} answered ${outcome}, allowed: ${allowed.join(' or ')}`);
  }
}

function freshMessage(offset: number, lane: number): Message {
  const unset = { block: -1, index: -1, deadlineMs: 0, dueMs: 0 };
  return { offset, lane, state: 'fresh', ...unset, attemptLow: 1, attemptHigh: 1, skipped: false };
}

function hasExpired({ state, deadlineMs }: Message, nowMs: number): boolean {
  return state === 'out' && deadlineMs <= nowMs;
}

function stale(message: Message | undefined): readonly Outcome[] {
  return message?.skipped ? ['ok', 'stale', 'unordered'] : ['stale'];
}
