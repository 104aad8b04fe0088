import { PubSubError } from '../domain/errors.ts';
import type { Appended, LogRef, Store } from '../store/store.ts';
import type { PubSubBounds } from './bounds.ts';
import type { Placement } from './placement.ts';
import { isAborted, type PublishCall, type PublishCounts, recall } from './publish-call.ts';
import { noTopic } from './refusals.ts';
import type { Schedule } from './schedule.ts';

interface Parts {
  readonly store: Store;
  readonly schedule: Schedule;
  readonly bounds: PubSubBounds;
  readonly counts: PublishCounts;
  /** @throws NOT_FOUND */
  readonly read: () => Promise<Placement>;
}

interface Waiting {
  readonly call: PublishCall;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A topic that this node publishes to. What is handed in with one ordering key is stored in that order (I7), through
 * changes of the topic too; a growth is what makes that hard, because then a key moves to another partition:
 *
 *     reading ──► known: publishes go straight to the store
 *        ▲          │ the catalogue says that something changed, or ABORTED: placed among too few partitions
 *        └──────────┘ from now on publishes wait in line, and what was aborted takes its old place in it
 *
 * When what was read has other partitions, nobody goes before every keyed publish under the old ones is either stored
 * or back in line. Then the line goes, in the order of the calls, before anybody who comes later.
 *
 * A repetition hashes to another partition than its first did before a growth. So for as long as a log may remember
 * the first, a publish with a dedupe key is offered to the partition that it would have had, under the old number:
 * the log knows it, and it is a duplicate; or it is ABORTED, which says that it is not there and never will be.
 */
export class TopicHandle {
  readonly topic: string;
  readonly #parts: Parts;
  #placement: Placement | undefined;
  #stale = true;
  #calls = 0;
  #line: Waiting[] = [];
  #serving = false;
  /** Keyed appends whose outcome is open. */
  #underWay = 0;
  #allSettled: (() => void) | undefined;
  #reading: Promise<Placement> | undefined;
  /** ABORTED said that the topic has more partitions than this. */
  #tooFew = 0;

  constructor(topic: string, parts: Parts) {
    this.topic = topic;
    this.#parts = parts;
  }

  /** Nothing waits here, and nothing keyed is on its way: a handle that is made anew keeps the order as well. */
  get idle(): boolean {
    return !this.#serving && this.#underWay === 0;
  }

  /** The topic, or who reads it, may have changed. */
  invalidate(): void {
    this.#stale = true;
  }

  /** Resolves when it is durable; the call then says where it is. @throws NOT_FOUND, UNAVAILABLE */
  append(call: PublishCall): Promise<void> {
    call.number = this.#calls++;
    const placement = this.#serving ? undefined : this.#known();
    if (!placement || (call.dedupe !== undefined && placement.earlier.length > 0)) return this.#wait(call);
    return this.#send(call, placement);
  }

  /** Every log that may remember the dedupe key of what was placed by `key`. @throws NOT_FOUND */
  async logsOf(key: string): Promise<readonly LogRef[]> {
    const placement = this.#known() ?? (await this.#read());
    const earlier = placement.earlierOf(key).map(({ partition }) => partition);
    return [placement.partitionOf(key), ...earlier].map((partition) => placement.logs[partition]!);
  }

  #send(call: PublishCall, placement: Placement): Promise<void> {
    const { store } = this.#parts;
    const { records, key, dedupe } = call;
    call.partition = placement.partitionOf(key);
    const log = placement.logs[call.partition]!;
    if (key === undefined) {
      const failed = (error: unknown) => this.#fail(error);
      return store.append(log, records).then((appended) => this.#stored(call, appended), failed);
    }
    this.#underWay++;
    const stored = (appended: Appended) => {
      this.#settle();
      this.#stored(call, appended);
    };
    const failed = (error: unknown) => this.#failedKeyed(call, placement, error);
    return store.append(log, records, dedupe, placement.partitions).then(stored, failed);
  }

  #stored(call: PublishCall, { firstOffset }: Appended): void {
    call.firstOffset = firstOffset;
    this.#parts.counts.messages += call.records.length;
  }

  #failedKeyed(call: PublishCall, { partitions }: Placement, error: unknown): Promise<void> {
    try {
      if (!isAborted(error)) this.#fail(error);
      this.#parts.counts.placedAgain++;
      this.#stale = true;
      this.#tooFew = Math.max(this.#tooFew, partitions);
      if (++call.tries > this.#parts.bounds.placementTriesMax) this.#fail(stillGrowing(this.topic, error));
      return this.#wait(call);
    } finally {
      this.#settle(); // last: who waits for it finds the call in line
    }
  }

  /** NOT_FOUND of the log: the topic was deleted, perhaps made anew, since it was read. */
  #fail(error: unknown): never {
    this.#parts.counts.failures++;
    if (!isNotFound(error)) throw error;
    this.#stale = true;
    throw noTopic(this.topic);
  }

  #settle(): void {
    if (--this.#underWay === 0) this.#allSettled?.();
  }

  #wait(call: PublishCall): Promise<void> {
    return new Promise((resolve, reject) => {
      let at = this.#line.length; // what was aborted goes before what came later
      while (at > 0 && this.#line[at - 1]!.call.number > call.number) at--;
      this.#line.splice(at, 0, { call, resolve, reject });
      if (!this.#serving) void this.#serve();
    });
  }

  /** Never rejects. */
  async #serve(): Promise<void> {
    this.#serving = true;
    while (this.#line.length > 0) {
      try {
        const placement = this.#known() ?? (await this.#read());
        const line = this.#line;
        this.#line = [];
        const known = await this.#recallAll(line, placement);
        line.forEach((waiting, index) => {
          if (!known[index]) this.#send(waiting.call, placement).then(waiting.resolve, waiting.reject);
        });
      } catch (error) {
        for (const { reject } of this.#line.splice(0)) reject(error);
      }
    }
    this.#serving = false;
  }

  /** Answers those whose first is found. @returns for each whether it was answered */
  #recallAll(line: readonly Waiting[], placement: Placement): Promise<readonly boolean[]> | readonly boolean[] {
    if (placement.earlier.length === 0) return [];
    return Promise.all(
      line.map(async ({ call, resolve, reject }) => {
        try {
          const found = await this.#recall(call, placement);
          if (found) resolve();
          return found;
        } catch (error) {
          reject(error);
          return true;
        }
      }),
    );
  }

  async #recall(call: PublishCall, placement: Placement): Promise<boolean> {
    const { store, counts } = this.#parts;
    try {
      const found = await recall(store, call, placement, counts);
      if (found) counts.messages += call.records.length;
      return found;
    } catch (error) {
      return this.#fail(error);
    }
  }

  #known(): Placement | undefined {
    return this.#stale || this.#reading ? undefined : this.#placement;
  }

  /** What the catalogue says now. Joins a read under way. */
  #read(): Promise<Placement> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<Placement> {
    const { read, schedule, bounds } = this.#parts;
    const before = this.#placement;
    this.#stale = false; // before the read: a change during it counts again
    try {
      let now = await read();
      if (before?.topicId !== now.topicId) this.#tooFew = 0;
      if (now.partitions <= this.#tooFew) {
        await new Promise<void>((resolve) => schedule(bounds.placementRetryMs, resolve)); // the growth is under way
        now = await read();
      }
      if (before?.topicId === now.topicId && before.partitions !== now.partitions) await this.#keyedSettled();
      if (!before?.equals(now)) this.#placement = now;
      return this.#placement!;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  #keyedSettled(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#allSettled = () => {
        this.#allSettled = undefined;
        resolve();
      };
    });
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof PubSubError && error.code === 'NOT_FOUND';
}

function stillGrowing(topic: string, cause: unknown): PubSubError {
  const text = `The topic ${topic} is being split over more partitions, and that is not done yet; publish again in a moment.`;
  return new PubSubError('UNAVAILABLE', text, { cause });
}
