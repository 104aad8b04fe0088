import { backoffMs, type RetryPolicy } from '../../domain/retry-policy.ts';
import type { FreshRange, LeasedBlock, LeaseRef, LeaseRequest, NackOptions, Outcome } from '../store.ts';
import type { AckedSet } from './acked-set.ts';
import {
  ackedAhead,
  type Block,
  gone,
  type Lane,
  leased,
  leasedAlone,
  makeBlock,
  nacked,
  type Returned,
  resting,
  type Taken,
} from './block.ts';
import { type DueEntry, DueHeap } from './due-heap.ts';
import { Lanes } from './lanes.ts';

/** What may become due: a whole block, one message of it (`index`), or what came back of a lane. */
interface Due extends DueEntry {
  readonly block: Block | undefined;
  readonly index: number;
  readonly lane: Lane | undefined;
}

export interface LeaseLimits {
  /** Messages that may be held at a time, out or waiting to go out again; past it nothing fresh is handed out. */
  readonly heldMax: number;
  readonly blocksMax: number;
  /** Ordered messages that may wait behind their key; past it the cursor stands still. */
  readonly parkedMax: number;
}

/** Ids grow over restarts, so that a reference from an earlier life never names a block of this one. */
export interface BlockIds {
  /** 0: references from before the restart are all refused. */
  readonly first: number;
  readonly next: () => number;
}

/**
 * The leases of one subscription on one partition, in memory: one process owns an embedded store, and after a crash
 * every unacked message is simply due again.
 *
 * A message is, in this order of its life: *fresh* (at or past the cursor); then in a block: `leased`, or `leasedAlone`
 * once its deadline was changed by itself; past the deadline `resting` when the retry policy wants a backoff; `nacked`
 * when it was given back; `gone` when it was acked or handed out anew. A message with an ordering key does not rest in
 * its block: when it fails, it and the rest of its run move to the lane's `returned`, see `Lane`.
 *
 *     state        ack        deadline passes                 nack
 *     leased(Alone) gone       handed out anew, or resting     nacked
 *     resting       gone *     handed out anew when due        nacked *
 *     nacked        stale      handed out anew when due        stale
 *     (* not when strict: a deadline that has passed ends the lease there)
 *
 * Expiry is lazy: `lease` looks at what is due. Nothing here has a timer.
 */
export class LeaseTable {
  #cursor: number;
  readonly #acked: AckedSet;
  readonly #limits: LeaseLimits;
  readonly #nextBlockId: () => number;
  /** Ids below it were given out before the process started. */
  readonly #firstBlockId: number;
  readonly #blocks = new Map<number, Block>();
  readonly #retries = new WeakMap<Block, RetryPolicy>();
  readonly #due = new DueHeap<Due>();
  #pushed = 0;
  readonly #lanes: Lanes;
  /** Attempt numbers that were saved before a crash. */
  readonly #remembered: Map<number, number>;
  #outstanding = 0;
  #held = 0;
  /** Attempt numbers to save (or, undefined, to delete) with the next commit. */
  readonly unsavedAttempts = new Map<number, number | undefined>();
  limitHits = 0;

  constructor(acked: AckedSet, remembered: Map<number, number>, limits: LeaseLimits, blockIds: BlockIds) {
    this.#cursor = acked.watermark;
    this.#acked = acked;
    this.#remembered = remembered;
    this.#limits = limits;
    this.#nextBlockId = blockIds.next;
    this.#firstBlockId = blockIds.first;
    this.#lanes = new Lanes(limits.parkedMax);
  }

  /** First offset that was never handed out. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Handed out, neither settled nor given back. */
  get outstanding(): number {
    return this.#outstanding;
  }

  nextDueMs(nowMs: number): number | undefined {
    if (this.#lanes.hasReady) return nowMs;
    this.#dropStaleTop();
    return this.#due.peek()?.dueMs;
  }

  /** Due messages first, then keys that came free, then fresh ones. */
  lease(request: LeaseRequest, head: number, nowMs: number): LeasedBlock[] {
    const taken: Taken[] = [];
    const room = request.messagesMax;
    this.#takeDue(taken, room, request.attemptMin ?? 0, nowMs);
    if (request.attemptMin === undefined) {
      for (const message of this.#lanes.takeReady(room - taken.length, taken, this.#isAcked)) taken.push(message);
      if (request.fresh && this.#mayGrow()) this.#takeFresh(taken, room, request.fresh, head);
    }
    return taken.length === 0 ? [] : [this.#handOut(taken, request, nowMs)];
  }

  ack(ref: LeaseRef, strict: boolean, nowMs: number): Outcome {
    const block = this.#blocks.get(ref.block);
    if (!block) return this.#ackFromBefore(ref, strict);
    if (!this.#holds(block, ref, strict, nowMs)) return 'stale';
    const before = block.previous?.[ref.index] ?? -1;
    if (before !== -1 && block.states[before] !== gone) {
      if (strict) return 'unordered';
      this.#setState(block, ref.index, ackedAhead);
      block.own?.delete(ref.index);
      return 'ok';
    }
    this.#settleRun(block, ref.index);
    return 'ok';
  }

  /** Sets the deadline of each message; when they are all that is left of a block, that of the block. */
  modify(refs: readonly LeaseRef[], deadlineMs: number, strict: boolean, nowMs: number): Outcome[] {
    const byBlock = new Map<Block, number[]>();
    const outcomes = refs.map((ref): Outcome => {
      const block = this.#blocks.get(ref.block);
      if (!block || !this.#holds(block, ref, strict, nowMs)) return 'stale';
      const indexes = byBlock.get(block);
      if (indexes) indexes.push(ref.index);
      else byBlock.set(block, [ref.index]);
      return 'ok';
    });
    for (const [block, indexes] of byBlock) this.#modifyIn(block, new Set(indexes), deadlineMs);
    this.#compactDue();
    return outcomes;
  }

  nack(ref: LeaseRef, options: NackOptions, nowMs: number): Outcome {
    const block = this.#blocks.get(ref.block);
    if (!block || !this.#holds(block, ref, options.strict, nowMs)) return 'stale';
    const { index } = ref;
    if (block.states[index] === ackedAhead) return 'stale';
    const dueMs = options.counted ? nowMs + backoffMs(options.retry, block.attempts[index]!) : nowMs;
    if (block.lanes?.[index]) {
      this.#sendBack(block, index, dueMs, (failed) => options.counted && failed === index);
      return 'ok';
    }
    if (!options.counted) block.attempts[index]!--; // handing it out again adds the one
    this.#setState(block, index, nacked);
    this.#pushOwn(block, index, dueMs);
    return 'ok';
  }

  /** Everything before `offset` counts as acked from now on, whatever it was. */
  skipTo(offset: number): void {
    this.#acked.addBefore(offset);
    this.#cursor = Math.max(this.#cursor, offset);
  }

  #isAcked = (offset: number): boolean => this.#acked.has(offset);

  /** Redelivery is never refused: it frees as much as it takes. */
  #mayGrow(): boolean {
    const may = this.#held < this.#limits.heldMax && this.#blocks.size < this.#limits.blocksMax;
    if (!may) this.limitHits++;
    return may;
  }

  #handOut(taken: Taken[], request: LeaseRequest, nowMs: number): LeasedBlock {
    const deadlineMs = nowMs + request.ackDeadlineMs;
    const ordered = taken.some(({ lane }) => lane !== undefined);
    const block = makeBlock(this.#nextBlockId(), taken, deadlineMs, ordered);
    this.#blocks.set(block.id, block);
    if (request.retry) this.#retries.set(block, request.retry);
    this.#outstanding += taken.length;
    this.#held += taken.length;
    if (request.keepAttempts) this.#saveAttempts(taken);
    this.#pushDue(deadlineMs, block, -1, undefined);
    return { block: block.id, offsets: block.offsets, attempts: [...block.attempts], deadlineMs };
  }

  #saveAttempts(taken: readonly Taken[]): void {
    for (const { offset, attempt } of taken) if (attempt > 1) this.unsavedAttempts.set(offset, attempt);
  }

  // Fresh messages.

  #takeFresh(taken: Taken[], room: number, fresh: FreshRange, head: number): void {
    if (fresh.from !== this.#cursor) return;
    const end = Math.min(fresh.from + fresh.count, head);
    while (this.#cursor < end && taken.length < room) {
      const offset = this.#cursor;
      const index = offset - fresh.from;
      if (fresh.skip?.[index] === 1) this.#acked.add(offset);
      else if (!this.#acked.has(offset) && !this.#takeOne(taken, offset, fresh.lanes?.[index] ?? 0)) return;
      this.#cursor = offset + 1;
    }
  }

  /** @returns false when the offset cannot even be parked. */
  #takeOne(taken: Taken[], offset: number, laneId: number): boolean {
    const lane = laneId === 0 ? undefined : this.#lanes.takeFresh(laneId, taken);
    if (laneId === 0 || lane) {
      taken.push({ offset, attempt: (this.#remembered.get(offset) ?? 0) + 1, lane });
      return true;
    }
    if (this.#lanes.full) {
      this.limitHits++;
      return false;
    }
    this.#lanes.park(laneId, offset);
    return true;
  }

  // Due messages.

  #takeDue(taken: Taken[], room: number, attemptMin: number, nowMs: number): void {
    const kept: Due[] = [];
    while (taken.length < room) {
      this.#dropStaleTop();
      const due = this.#due.peek();
      if (!due || due.dueMs > nowMs) break;
      if (!this.#takeDueEntry(due, taken, room, attemptMin, nowMs)) kept.push(due);
    }
    for (const due of kept) this.#due.push(due);
  }

  /** @returns false when the entry holds nothing for this caller and must stay due for others. */
  #takeDueEntry(due: Due, taken: Taken[], room: number, attemptMin: number, nowMs: number): boolean {
    if (due.lane) {
      this.#due.pop();
      if (due.lane.returned[0]!.attempt < attemptMin) return false;
      const most = attemptMin > 0 ? 1 : room - taken.length;
      for (const message of this.#lanes.takeReturned(due.lane, most, taken, this.#isAcked)) taken.push(message);
      this.#settleLane(due.lane);
      return true;
    }
    if (due.index < 0) {
      this.#expireBlock(due.block!, nowMs);
      return true;
    }
    this.#due.pop();
    return this.#takeDueMessage(due, taken, attemptMin, nowMs);
  }

  #takeDueMessage(due: Due, taken: Taken[], attemptMin: number, nowMs: number): boolean {
    const block = due.block!;
    if (block.states[due.index] === leasedAlone) {
      this.#expireMessage(block, due.index, due.dueMs, nowMs);
      return true;
    }
    const attempt = block.attempts[due.index]! + 1;
    if (attempt < attemptMin) return false;
    const offset = block.offsets[due.index]!;
    this.#drop(block, due.index);
    if (!this.#acked.has(offset)) taken.push({ offset, attempt, lane: undefined });
    return true;
  }

  /** The block's deadline has passed: each message in it that has no time of its own starts to rest, or is due. */
  #expireBlock(block: Block, nowMs: number): void {
    this.#due.pop();
    for (let index = 0; index < block.offsets.length; index++) {
      if (block.states[index] === leased) this.#expireMessage(block, index, block.deadlineMs, nowMs);
    }
  }

  #expireMessage(block: Block, index: number, deadlineMs: number, nowMs: number): void {
    const dueMs = deadlineMs + backoffMs(this.#retries.get(block), block.attempts[index]!);
    if (block.lanes?.[index]) {
      const expired = (other: number) => isOut(block.states[other]!) && this.#deadlineOf(block, other) <= nowMs;
      this.#sendBack(block, index, dueMs, expired);
      return;
    }
    this.#setState(block, index, resting);
    this.#pushOwn(block, index, dueMs);
  }

  // Settling.

  #holds(block: Block, ref: LeaseRef, strict: boolean, nowMs: number): boolean {
    const state = block.states[ref.index];
    if (block.offsets[ref.index] !== ref.offset || state === gone || state === nacked) return false;
    return !strict || (state !== resting && this.#deadlineOf(block, ref.index) > nowMs);
  }

  #deadlineOf(block: Block, index: number): number {
    return block.states[index] === leasedAlone ? block.own!.get(index)! : block.deadlineMs;
  }

  /**
   * The block is from before a restart. An ordinary subscription still takes the ack while nobody was handed the
   * message again; block ids of different lives never meet, so this is not another delivery's reference.
   */
  #ackFromBefore(ref: LeaseRef, strict: boolean): Outcome {
    if (strict || ref.offset < this.#cursor || ref.block >= this.#firstBlockId) return 'stale';
    return this.#acked.add(ref.offset) ? 'ok' : 'stale';
  }

  /** Acks a message whose lane predecessors are settled, and those after it that were acked ahead. */
  #settleRun(block: Block, first: number): void {
    const lane = block.lanes?.[first];
    let index = first;
    do {
      const offset = block.offsets[index]!;
      this.#acked.add(offset);
      this.#remembered.delete(offset);
      if (block.attempts[index]! > 1) this.unsavedAttempts.set(offset, undefined);
      this.#drop(block, index);
      if (lane) lane.out--;
      index = block.next?.[index] ?? -1;
    } while (index !== -1 && block.states[index] === ackedAhead);
    if (lane) this.#settleLane(lane);
  }

  /** A message of a run failed: it and everything after it in the run go back to the lane. */
  #sendBack(block: Block, first: number, dueMs: number, failed: (index: number) => boolean): void {
    const lane = block.lanes![first]!;
    const back: Returned[] = [];
    for (let index = first; index !== -1 && block.states[index] !== gone; index = block.next![index]!) {
      const attempt = block.attempts[index]! + (failed(index) ? 1 : 0);
      back.push({ offset: block.offsets[index]!, attempt });
      this.#drop(block, index);
      lane.out--;
    }
    lane.returned = back.concat(lane.returned);
    lane.dueMs = dueMs;
    this.#settleLane(lane);
  }

  #settleLane(lane: Lane): void {
    if (this.#lanes.settle(lane)) this.#pushDue(lane.dueMs, undefined, -1, lane);
  }

  #modifyIn(block: Block, indexes: ReadonlySet<number>, deadlineMs: number): void {
    const whole = indexes.size === block.left && !block.own?.size;
    if (whole) {
      block.deadlineMs = deadlineMs;
      this.#pushDue(deadlineMs, block, -1, undefined);
      return;
    }
    for (const index of indexes) {
      if (block.states[index] === ackedAhead) continue;
      this.#setState(block, index, leasedAlone);
      this.#pushOwn(block, index, deadlineMs);
    }
  }

  #pushOwn(block: Block, index: number, dueMs: number): void {
    block.own ??= new Map();
    block.own.set(index, dueMs);
    this.#pushDue(dueMs, block, index, undefined);
  }

  #pushDue(dueMs: number, block: Block | undefined, index: number, lane: Lane | undefined): void {
    this.#due.push({ dueMs, order: this.#pushed++, block, index, lane });
  }

  #drop(block: Block, index: number): void {
    this.#setState(block, index, gone);
    block.own?.delete(index);
    this.#held--;
    if (--block.left === 0) this.#blocks.delete(block.id);
  }

  #setState(block: Block, index: number, state: number): void {
    this.#outstanding += Number(isOut(state)) - Number(isOut(block.states[index]!));
    block.states[index] = state;
  }

  // The due index holds entries that something newer has replaced; they are dropped when they surface.

  #dropStaleTop(): void {
    for (let due = this.#due.peek(); due && !isLive(due); due = this.#due.peek()) this.#due.pop();
  }

  #compactDue(): void {
    if (this.#due.size > 1024 && this.#due.size > 4 * (this.#outstanding + this.#blocks.size)) {
      this.#due.compact(isLive);
    }
  }
}

function isOut(state: number): boolean {
  return state === leased || state === leasedAlone;
}

function isLive({ dueMs, block, index, lane }: Due): boolean {
  if (lane) return lane.out === 0 && lane.returned.length > 0 && lane.dueMs === dueMs;
  if (index < 0) return block!.left > 0 && block!.deadlineMs === dueMs;
  return block!.own?.get(index) === dueMs;
}
