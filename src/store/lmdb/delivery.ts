import type { PubSubError } from '../../domain/errors.ts';
import type { LeaseGrant, LeaseRef, LeaseRequest, NackOptions, Outcome, SettleOptions } from '../store.ts';
import { AckedSet } from './acked-set.ts';
import { loadAcked, loadAttempts, stageAttemptsRemoval, stageChanges, stageReplacement } from './acked-store.ts';
import { type Environment, staged } from './environment.ts';
import type { CommitPart, GroupCommit } from './group-commit.ts';
import { type BlockIds, type LeaseLimits, LeaseTable } from './lease-table.ts';
import type { Log } from './log.ts';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: PubSubError) => void;
}

/**
 * One subscription on one partition: its leases in memory, its acked set in memory and on disk. An ack changes memory
 * at once and is confirmed when the commit that saves it is on disk (I2).
 *
 * A commit that fails is treated like a crash of this subscription's leases: the acked set is read again from disk,
 * every lease ends, and what is unacked there is due again. So memory never runs ahead of what was confirmed.
 */
export class Delivery implements CommitPart {
  readonly log: Log;
  readonly #owner: string;
  readonly #env: Environment;
  readonly #commit: GroupCommit;
  readonly #clock: () => number;
  readonly #limits: LeaseLimits;
  readonly #blockIds: BlockIds;
  #acked!: AckedSet;
  #leases!: LeaseTable;
  #epoch = 0;
  #savedWatermark = 0;
  #waiting: Waiter[] = [];
  #staged: Waiter[] = [];
  #inFlight = false;
  #replacement: AckedSet | undefined;
  #stagedReplacement: AckedSet | undefined;
  /** Attempt numbers before this offset are of no use any more. */
  #attemptsFrom = 0;
  #retired = false;
  #limitHitsBefore = 0;

  constructor(
    owner: string,
    log: Log,
    env: Environment,
    commit: GroupCommit,
    clock: () => number,
    limits: LeaseLimits,
    blockIds: BlockIds,
  ) {
    this.#owner = owner;
    this.log = log;
    this.#env = env;
    this.#commit = commit;
    this.#clock = clock;
    this.#limits = limits;
    this.#blockIds = blockIds;
    this.#reload();
  }

  get firstUnacked(): number {
    return this.#acked.watermark;
  }

  get outstanding(): number {
    return this.#leases.outstanding;
  }

  get backlog(): number {
    return Math.max(0, this.log.head - this.#acked.watermark - this.#acked.ahead);
  }

  get bytes(): number {
    const span = this.log.head - this.#acked.watermark;
    return span <= 0 ? 0 : Math.round((this.log.bytesFrom(this.#acked.watermark) * this.backlog) / span);
  }

  get oldestUnackedMs(): number | undefined {
    return this.log.publishMsOf(this.#acked.watermark);
  }

  get limitHits(): number {
    return this.#limitHitsBefore + this.#leases.limitHits;
  }

  lease(request: LeaseRequest): LeaseGrant {
    const nowMs = this.#clock();
    const blocks = this.#leases.lease(request, this.log.head, nowMs);
    if (this.#isDirty() || this.#leases.unsavedAttempts.size > 0) this.#commit.ride(this);
    return {
      epoch: this.#epoch,
      cursor: this.#leases.cursor,
      head: this.log.head,
      nextDueMs: this.#leases.nextDueMs(nowMs),
      blocks,
    };
  }

  ack(refs: readonly LeaseRef[], { strict }: SettleOptions): Promise<Outcome[]> {
    const nowMs = this.#clock();
    return this.#settled(
      refs.map((ref) => (ref.epoch === this.#epoch ? this.#leases.ack(ref, strict, this.log.head, nowMs) : 'stale')),
    );
  }

  async modifyDeadline(refs: readonly LeaseRef[], ackDeadlineMs: number, options: SettleOptions): Promise<Outcome[]> {
    const nowMs = this.#clock();
    const current = refs.filter((ref) => ref.epoch === this.#epoch);
    const outcomes = this.#leases.modify(current, nowMs + ackDeadlineMs, options.strict, nowMs);
    let next = 0;
    return refs.map((ref) => (ref.epoch === this.#epoch ? outcomes[next++]! : 'stale'));
  }

  async nack(refs: readonly LeaseRef[], options: NackOptions): Promise<Outcome[]> {
    const nowMs = this.#clock();
    const outcomes = refs.map((ref) =>
      ref.epoch === this.#epoch ? this.#leases.nack(ref, options, nowMs) : ('stale' as const),
    );
    this.#wakeIfDue();
    return outcomes;
  }

  skipTo(offset: number): Promise<unknown> {
    this.#leases.skipTo(offset);
    this.#attemptsFrom = Math.max(this.#attemptsFrom, offset);
    return this.#settled([]);
  }

  /** Everything before `offset` acked, everything from it on not; every lease ends. Durable on return. */
  seek(offset: number): Promise<void> {
    return this.#replaceBy(new AckedSet(offset));
  }

  /** Takes over the acked state that a snapshot kept; otherwise as `seek`. */
  restore(snapshotId: string): Promise<void> {
    // Read now: the snapshot may be gone when the commit is assembled.
    return this.#replaceBy(loadAcked(this.#env, snapshotId, this.log.ref.partition).acked);
  }

  /** Removes everything of the subscription here; to be called while a commit is assembled. */
  stageRemoval(): void {
    this.#retired = true;
    stageReplacement(this.#env, this.#owner, this.log.ref.partition, undefined, 0);
  }

  /** Copies the acked state under another owner; to be called while a commit is assembled. */
  stageCopy(snapshotId: string): void {
    stageReplacement(this.#env, snapshotId, this.log.ref.partition, this.#acked, 0);
  }

  stage(): void {
    this.#staged = this.#waiting;
    this.#waiting = [];
    this.#inFlight = true;
    if (this.#retired) return;
    this.#stagedReplacement = this.#replacement;
    this.#replacement = undefined;
    if (this.#stagedReplacement) this.#stageReplacement(this.#stagedReplacement);
    else this.#stageChanges();
  }

  #stageReplacement(next: AckedSet): void {
    stageReplacement(this.#env, this.#owner, this.log.ref.partition, next, this.#epoch + 1);
  }

  #stageChanges(): void {
    const { partition } = this.log.ref;
    stageChanges(this.#env, this.#owner, partition, this.#acked);
    this.#savedWatermark = this.#acked.watermark;
    staged(this.#env.progress.put([this.#owner, partition], { watermark: this.#savedWatermark, epoch: this.#epoch }));
    this.#stageAttempts(partition);
  }

  committed(): void {
    const staged = this.#staged;
    this.#staged = [];
    this.#inFlight = false;
    if (this.#stagedReplacement) {
      this.#stagedReplacement = undefined;
      if (!this.#retired) this.#reload();
      this.log.wake();
    }
    for (const { resolve } of staged) resolve();
  }

  failed(error: PubSubError): void {
    const failed = this.#staged.concat(this.#waiting);
    this.#staged = [];
    this.#waiting = [];
    this.#inFlight = false;
    this.#replacement = undefined;
    this.#stagedReplacement = undefined;
    if (!this.#retired) this.#reload();
    for (const { reject } of failed) reject(error);
    this.log.wake();
  }

  /** Resolves when what was settled up to now is on disk. */
  #settled<T>(outcomes: T): Promise<T> {
    this.#wakeIfDue();
    const dirty = this.#isDirty();
    if (!dirty && !this.#inFlight) return Promise.resolve(outcomes);
    return new Promise((resolve, reject) => {
      (dirty ? this.#waiting : this.#staged).push({ resolve: () => resolve(outcomes), reject });
      if (dirty) this.#commit.enlist(this);
    });
  }

  /** A settled run lets the next messages of its key go: whoever waits for messages wants to know. */
  #wakeIfDue(): void {
    const nowMs = this.#clock();
    const dueMs = this.#leases.nextDueMs(nowMs);
    if (dueMs !== undefined && dueMs <= nowMs) this.log.wake();
  }

  #isDirty(): boolean {
    return this.#acked.isDirty || this.#acked.watermark !== this.#savedWatermark;
  }

  #stageAttempts(partition: number): void {
    if (this.#attemptsFrom > 0) stageAttemptsRemoval(this.#env, this.#owner, partition, this.#attemptsFrom);
    this.#attemptsFrom = 0;
    for (const [offset, attempt] of this.#leases.unsavedAttempts) {
      if (attempt === undefined) staged(this.#env.attempts.remove([this.#owner, partition, offset]));
      else staged(this.#env.attempts.put([this.#owner, partition, offset], attempt));
    }
    this.#leases.unsavedAttempts.clear();
  }

  #replaceBy(next: AckedSet): Promise<void> {
    this.#replacement = next;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#commit.enlist(this);
    });
  }

  /** As after a crash: what is on disk counts, nothing is out. */
  #reload(): void {
    const { partition } = this.log.ref;
    const { acked, epoch } = loadAcked(this.#env, this.#owner, partition);
    this.#limitHitsBefore += this.#leases?.limitHits ?? 0;
    this.#acked = acked;
    this.#epoch = epoch;
    this.#savedWatermark = acked.watermark;
    const attempts = loadAttempts(this.#env, this.#owner, partition);
    this.#leases = new LeaseTable(acked, attempts, this.#limits, this.#blockIds);
  }
}
