import { packedBytes } from '../../domain/batch.ts';
import { PubSubError } from '../../domain/errors.ts';
import type { Appended, LogRef } from '../store.ts';
import { type Append, argumentsOf, type Part, partsOf } from './append-parts.ts';
import { backOffMs } from './back-off.ts';
import type { Keys } from './keys.ts';
import { type Argument, type Link, Unavailable } from './link.ts';
import { loadScript } from './script.ts';
import { Unsent } from './wire.ts';

export interface WriteLimits {
  /** A batch is closed past this many bytes, so that reading one message never reads much more. */
  readonly batchBytesMax: number;
  /** What one commit takes of one log; the rest waits for the next. */
  readonly commitBytesMax: number;
  /** So many appends at most: each may be a part with four arguments, and all of a commit run in one script. */
  readonly commitAppendsMax: number;
  /** Bytes that may wait for Redis, of all logs together; past it appends are refused. */
  readonly queuedBytesMax: number;
  /** How long a commit that got no answer is asked about again. One more answer may be waited for on top. */
  readonly commitDeadlineMs: number;
}

/** What the writers of all logs of this node share. */
export interface Writing {
  readonly link: Link;
  readonly keys: Keys;
  readonly limits: WriteLimits;
  /** This run of this process; scripts remember its last commit by it. */
  readonly node: string;
  nextCommit: number;
  queuedBytes: number;
  queued: number;
  commits: number;
  failures: number;
  records: number;
  totalMs: number;
}

const append = loadScript('append');
/** How long Redis remembers what a commit was answered; far longer than anybody asks. */
const answerKeptMs = 60_000;
const [stored, duplicate] = [0, 1];

/**
 * The appends of this node to one log. All that arrives while one commit is on its way goes with the next, in the order
 * of the calls.
 *
 *     idle ──append──► gathering ──end of the turn──► sent ──answered──► idle, or gathering
 *                                                    │  ▲ no answer: the same commit again, by its number
 *                                                    ▼  │
 *                                                   asking ──deadline──► failed: everything that waits fails with it
 *
 * A commit carries the node's name and a number. The script remembers the last answer, so a commit whose reply was lost
 * is sent again and answered as the first time: never stored twice. It is acknowledged only by an answer (I1). Once it is
 * given up and a later one has run, the script refuses it: what was given up never comes after what came later (I7).
 * When a commit fails, what waits behind it fails too: nothing may overtake it.
 */
export class LogWriter {
  readonly #log: LogRef;
  readonly #shared: Writing;
  readonly #idle: () => void;
  readonly #keys: readonly string[];
  #pending: Append[] = [];
  #running = false;

  /** @param idle called when nothing waits any more: the writer may be dropped */
  constructor(log: LogRef, shared: Writing, idle: () => void) {
    this.#log = log;
    this.#shared = shared;
    this.#idle = idle;
    const keys = shared.keys.partition(log);
    this.#keys = [keys.log, keys.meta, keys.dedupe, keys.dedupeAge, keys.lastCommit(shared.node)];
  }

  append(records: readonly Uint8Array[], dedupe: string | undefined, placedAmong: number): Promise<Appended> {
    const bytes = packedBytes(records);
    const { limits } = this.#shared;
    if (this.#shared.queuedBytes + bytes > limits.queuedBytesMax) {
      const text = `More than ${limits.queuedBytesMax} bytes wait for Redis; try again later.`;
      return Promise.reject(new PubSubError('UNAVAILABLE', text));
    }
    this.#shared.queuedBytes += bytes;
    this.#shared.queued++;
    return new Promise((resolve, reject) => {
      this.#pending.push({ records, bytes, dedupe, placedAmong, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    await turnEnd();
    while (this.#pending.length > 0) await this.#commit(this.#take());
    this.#running = false;
    this.#idle();
  }

  async #commit(appends: readonly Append[]): Promise<void> {
    const startMs = performance.now();
    const parts = partsOf(appends, this.#shared.limits.batchBytesMax);
    try {
      const answer = await this.#asked(parts);
      this.#shared.commits++;
      this.#shared.totalMs += performance.now() - startMs;
      this.#release(appends);
      this.#answer(parts, answer);
    } catch (error) {
      this.#shared.failures++;
      const failed = [...appends, ...this.#pending];
      this.#pending = [];
      this.#release(failed);
      for (const { reject } of failed) reject(error as Error);
    }
  }

  /** Asks until there is an answer or the deadline has passed. */
  async #asked(parts: readonly Part[]): Promise<unknown[]> {
    const { link, keys, limits } = this.#shared;
    const untilMs = performance.now() + limits.commitDeadlineMs;
    const args: Argument[] = [link.now(), ++this.#shared.nextCommit, keys.wakeChannel(this.#log)];
    args.push(limits.batchBytesMax, answerKeptMs, ...parts.flatMap(argumentsOf));
    let sent = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return (await link.run(append, this.#keys, args, { durable: true })) as unknown[];
      } catch (error) {
        sent ||= !(error instanceof Unsent);
        const waitMs = backOffMs(attempt);
        const again = error instanceof Unavailable && error.transient && sent;
        if (!again || performance.now() + waitMs >= untilMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  #answer(parts: readonly Part[], [status, ...answers]: unknown[]): void {
    const refusal = refusals[`${status}`];
    if (refusal) {
      for (const { appends } of parts) for (const { reject } of appends) reject(refusal(this.#log));
      return;
    }
    parts.forEach((part, at) => {
      const [state, first, publishMs] = answers.slice(3 * at, 3 * at + 3) as [number, number, number];
      if (state === stored || state === duplicate) this.#resolve(part, first, publishMs, state === duplicate);
      else for (const { reject } of part.appends) reject(new PlacedAmongFewer(first));
    });
  }

  #resolve({ appends }: Part, first: number, publishMs: number, isDuplicate: boolean): void {
    let firstOffset = first;
    for (const { records, resolve } of appends) {
      resolve({ firstOffset, publishMs, duplicate: isDuplicate });
      firstOffset += records.length;
    }
    if (!isDuplicate) this.#shared.records += firstOffset - first;
  }

  #take(): Append[] {
    const { commitBytesMax, commitAppendsMax } = this.#shared.limits;
    const countMax = Math.min(this.#pending.length, commitAppendsMax);
    let bytes = 0;
    let count = 0;
    while (count < countMax && bytes < commitBytesMax) bytes += this.#pending[count++]!.bytes;
    return this.#pending.splice(0, count);
  }

  #release(appends: readonly Append[]): void {
    this.#shared.queued -= appends.length;
    for (const { bytes } of appends) this.#shared.queuedBytes -= bytes;
  }
}

/** The topic has more partitions than the caller chose among. */
export class PlacedAmongFewer extends PubSubError {
  readonly partitions: number;

  constructor(partitions: number) {
    super('ABORTED', 'The topic has more partitions by now; publish again.');
    this.partitions = partitions;
  }
}

const refusals: Record<string, (log: LogRef) => PubSubError> = {
  gone: ({ topicId, partition }) => {
    return new PubSubError('NOT_FOUND', `The topic of log ${topicId}/${partition} was deleted.`);
  },
  late: () =>
    new PubSubError('UNAVAILABLE', 'The append was given up before Redis took it; nothing was stored, try again.'),
};

function turnEnd(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
