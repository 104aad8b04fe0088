import { backoffMs } from '../../domain/retry-policy.ts';
import type { FreshRange, LeasedBlock, LeaseRef, LeaseRequest, NackOptions, Outcome } from '../store.ts';
import type { AckedSet } from './acked-set.ts';
import {
  ackedAhead,
  type Block,
  gone,
  isOut,
  type Lane,
  leased,
  leasedAlone,
  makeBlock,
  nacked,
  type Returned,
  resting,
  type Taken,
} from './block.ts';
import { type Due, DueIndex } from './due-index.ts';
import { deadlineOf, HeldBlocks } from './held-blocks.ts';
import { Lanes } from './lanes.ts';

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
  readonly #blocks = new HeldBlocks();
  readonly #due = new DueIndex();
  readonly #lanes: Lanes;
  /** Attempt numbers that were saved before a crash. */
  readonly #remembered: Map<number, number>;
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
    return this.#blocks.outstanding;
  }

  nextDueMs(nowMs: number): number | undefined {
    if (this.#lanes.hasReady) return nowMs;
    return this.#due.peek()?.dueMs;
  }

  /** Due messages first, then keys that came free, then fresh ones. */
  lease(request: LeaseRequest, head: number, nowMs: number): LeasedBlock[] {
    const taken: Taken[] = [];
    const room = request.messagesMax;
    this.#takeDue(taken, room, request.attemptMin ?? 0, nowMs);
    if (request.attemptMin === undefined) {
      const ready = this.#lanes.takeReady(room - taken.length, taken, this.#isAcked, this.#attemptOf);
      for (const message of ready) taken.push(message);
      if (request.fresh && this.#mayGrow()) this.#takeFresh(taken, room, request.fresh, head);
    }
    return taken.length === 0 ? [] : [this.#handOut(taken, request, nowMs)];
  }

  /** @param head no message is at or past it */
  ack(ref: LeaseRef, strict: boolean, head: number, nowMs: number): Outcome {
    const block = this.#blocks.get(ref.block);
    if (!block) return strict || ref.offset >= head ? 'stale' : this.#ackFromBefore(ref);
    if (!this.#holds(block, ref, strict, nowMs)) return 'stale';
    const before = block.previous?.[ref.index] ?? -1;
    if (before !== -1 && block.states[before] !== gone) {
      if (strict) return 'unordered';
      this.#blocks.setState(block, ref.index, ackedAhead);
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
    this.#due.compact(this.#blocks.held + this.#blocks.count);
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
    this.#blocks.setState(block, index, nacked);
    this.#due.pushMessage(block, index, dueMs);
    return 'ok';
  }

  /** Everything before `offset` counts as acked from now on, whatever it was. */
  skipTo(offset: number): void {
    this.#acked.addBefore(offset);
    this.#cursor = Math.max(this.#cursor, offset);
  }

  #isAcked = (offset: number): boolean => this.#acked.has(offset);

  /** Of a message that this life of the process has not handed out yet. */
  #attemptOf = (offset: number): number => (this.#remembered.get(offset) ?? 0) + 1;

  /** Redelivery is never refused: it frees as much as it takes. */
  #mayGrow(): boolean {
    const may = this.#blocks.held < this.#limits.heldMax && this.#blocks.count < this.#limits.blocksMax;
    if (!may) this.limitHits++;
    return may;
  }

  #handOut(taken: Taken[], request: LeaseRequest, nowMs: number): LeasedBlock {
    const deadlineMs = nowMs + request.ackDeadlineMs;
    const block = makeBlock(this.#nextBlockId(), taken, deadlineMs, request.retry);
    this.#blocks.add(block);
    this.#due.pushBlock(block);
    if (request.keepAttempts) this.#saveAttempts(taken);
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
      taken.push({ offset, attempt: this.#attemptOf(offset), lane });
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
      const due = this.#due.peek();
      if (!due || due.dueMs > nowMs) break;
      if (!this.#takeDueEntry(due, taken, room, attemptMin, nowMs)) kept.push(due);
    }
    for (const due of kept) this.#due.restore(due);
  }

  /** @returns false when the entry holds nothing for this caller and must stay due for others. */
  #takeDueEntry(due: Due, taken: Taken[], room: number, attemptMin: number, nowMs: number): boolean {
    this.#due.pop();
    if (due.lane) return this.#takeReturned(due.lane, taken, room, attemptMin);
    if (due.index !== undefined) return this.#takeDueMessage(due.block, due.index, taken, attemptMin, nowMs);
    this.#expireBlock(due.block, nowMs);
    return true;
  }

  #takeReturned(lane: Lane, taken: Taken[], room: number, attemptMin: number): boolean {
    if (lane.returned[0]!.attempt < attemptMin) return false;
    const most = attemptMin > 0 ? 1 : room - taken.length;
    for (const message of this.#lanes.takeReturned(lane, most, taken, this.#isAcked)) taken.push(message);
    this.#settleLane(lane);
    return true;
  }

  #takeDueMessage(block: Block, index: number, taken: Taken[], attemptMin: number, nowMs: number): boolean {
    if (block.states[index] === leasedAlone) {
      this.#expireMessage(block, index, deadlineOf(block, index), nowMs);
      return true;
    }
    const attempt = block.attempts[index]! + 1;
    if (attempt < attemptMin) return false;
    const offset = block.offsets[index]!;
    this.#blocks.drop(block, index);
    if (!this.#acked.has(offset)) taken.push({ offset, attempt, lane: undefined });
    return true;
  }

  /** The block's deadline has passed: each message in it that has no time of its own starts to rest, or is due. */
  #expireBlock(block: Block, nowMs: number): void {
    for (let index = 0; index < block.offsets.length; index++) {
      if (block.states[index] === leased) this.#expireMessage(block, index, block.deadlineMs, nowMs);
    }
  }

  #expireMessage(block: Block, index: number, deadlineMs: number, nowMs: number): void {
    const dueMs = deadlineMs + backoffMs(block.retry, block.attempts[index]!);
    if (block.lanes?.[index]) {
      const expired = (other: number) => isOut(block.states[other]!) && deadlineOf(block, other) <= nowMs;
      this.#sendBack(block, index, dueMs, expired);
      return;
    }
    this.#blocks.setState(block, index, resting);
    this.#due.pushMessage(block, index, dueMs);
  }

  // Settling.

  #holds(block: Block, ref: LeaseRef, strict: boolean, nowMs: number): boolean {
    const state = block.states[ref.index];
    if (block.offsets[ref.index] !== ref.offset || state === gone || state === nacked) return false;
    return !strict || (state !== resting && deadlineOf(block, ref.index) > nowMs);
  }

  /**
   * The block is from before a restart. An ordinary subscription still takes the ack while nobody was handed the
   * message again; block ids of different lives never meet, so this is not another delivery's reference.
   */
  #ackFromBefore({ offset, block }: LeaseRef): Outcome {
    if (offset < this.#cursor || block >= this.#firstBlockId || !this.#acked.add(offset)) return 'stale';
    if (this.#remembered.delete(offset)) this.unsavedAttempts.set(offset, undefined);
    return 'ok';
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
      this.#blocks.drop(block, index);
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
      this.#blocks.drop(block, index);
      lane.out--;
    }
    lane.returned = back.concat(lane.returned);
    lane.dueMs = dueMs;
    this.#settleLane(lane);
  }

  #settleLane(lane: Lane): void {
    if (this.#lanes.settle(lane)) this.#due.pushLane(lane);
  }

  #modifyIn(block: Block, indexes: ReadonlySet<number>, deadlineMs: number): void {
    if (indexes.size === block.left && !block.own?.size) {
      block.deadlineMs = deadlineMs;
      this.#due.pushBlock(block);
      return;
    }
    for (const index of indexes) {
      if (block.states[index] === ackedAhead) continue;
      this.#blocks.setState(block, index, leasedAlone);
      this.#due.pushMessage(block, index, deadlineMs);
    }
  }
}
