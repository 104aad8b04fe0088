import type { Batch } from '../../domain/batch.ts';
import { PubSubError } from '../../domain/errors.ts';
import type { LogRef } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Link } from './link.ts';
import { loadScript } from './script.ts';

/** Batches that one call of a trim removes, so that appends never wait long behind it. */
const trimBatchesMax = 512;
/** Batches that one script reads: about 0.1 ms when they are small. */
const readBatchesMax = 32;
/** Batches that are fetched together when each may be as large as a publish. */
const blindBatchesMax = 4;
/** With no more than this left in the log, the rest comes by a plain command however it is divided into batches. */
const restBytesMax = 1024 * 1024;
/** Dedupe keys that one call lets go. */
const forgetKeysMax = 1000;

const scripts = {
  create: loadScript('log-create'),
  fence: loadScript('log-fence'),
  retire: loadScript('log-retire'),
  drop: loadScript('log-drop'),
  offsetAt: loadScript('offset-at'),
  at: loadScript('log-at'),
  trim: loadScript('trim'),
  hold: loadScript('hold'),
  forget: loadScript('forget'),
  forgetBefore: loadScript('forget-before'),
};

export interface LogEnds {
  readonly first: number;
  readonly head: number;
  readonly bytes: number;
  /** How often a subscription was moved here (seek, restore). */
  readonly moves: number;
}

/** `[id, ['n', records, 'b', bytes before, 'd', packed records]]`, the id being `<first offset>-<publish ms>`. */
type Entry = readonly [id: Buffer, fields: readonly Buffer[]];

interface StoredBatch extends Batch {
  readonly bytesBefore: number;
}

/** The logs as they lie in Redis; who appends to them is in `log-writer.ts`. */
export class Logs {
  readonly #link: Link;
  readonly #keys: Keys;

  constructor(link: Link, keys: Keys) {
    this.#link = link;
    this.#keys = keys;
  }

  async create(log: LogRef, partitions: number): Promise<void> {
    await this.#link.run(scripts.create, [this.#keys.partition(log).meta], [partitions], { durable: true });
  }

  /** Appends that were placed among fewer partitions are refused from now on. */
  async fence(log: LogRef, partitions: number): Promise<void> {
    await this.#link.run(scripts.fence, [this.#keys.partition(log).meta], [partitions], { durable: true });
  }

  /** Nothing can be appended any more. */
  async retire(log: LogRef): Promise<void> {
    const channel = this.#keys.wakeChannel(log);
    await this.#link.run(scripts.retire, [this.#keys.partition(log).meta], [channel], { durable: true });
  }

  /** @returns false: there is something in it, or its topic was not deleted */
  async drop(log: LogRef): Promise<boolean> {
    const keys = this.#keys.partition(log);
    return (await this.#link.run(scripts.drop, [keys.log, keys.meta, keys.dedupe, keys.dedupeAge], [])) === 1;
  }

  /** Removes a log that never had a name. */
  async unmake(log: LogRef): Promise<void> {
    await this.#link.command('UNLINK', this.#keys.partition(log).meta);
  }

  /**
   * Most reads go on where a batch ended and find one batch there, so that is asked for first, by a plain command, which
   * need not copy it through Lua; the one that holds the offset only when there is none.
   */
  async read(log: LogRef, fromOffset: number, bytesMax: number): Promise<Batch[]> {
    const [next, totalBytes] = await Promise.all([this.#batchFrom(log, fromOffset), this.#totalBytes(log)]);
    const holding = next?.firstOffset === fromOffset ? undefined : await this.#batchHolding(log, fromOffset);
    const first = holding ?? next;
    if (!first) {
      await this.ends(log); // NOT_FOUND when there is no such log
      return [];
    }
    return this.#readOn(log, first, bytesMax, totalBytes);
  }

  /**
   * Adds the batches that follow; what goes past `bytesMax` is dropped. Each batch says how many bytes are before it, so it
   * is known what is left: when that is little it is fetched at once. Otherwise as many batches as there are already, and
   * never many, because small batches tell nothing of the size of the next. A script could count as it goes, but the copy
   * that it makes costs Redis four times the reading.
   */
  async #readOn(log: LogRef, first: StoredBatch, bytesMax: number, totalBytes: number): Promise<Batch[]> {
    const batches: Batch[] = [first];
    for (let last = first, bytes = last.bytes.length; bytes < bytesMax; ) {
      const restBytes = totalBytes - last.bytesBefore - last.bytes.length;
      if (restBytes <= 0) break;
      const count = restBytes <= restBytesMax ? readBatchesMax : Math.min(batches.length, blindBatchesMax);
      const more = await this.#batchesOnwards(log, endOf(last), count);
      for (const batch of more) {
        // A trim may have come in between; who reads on from the gap learns where the log starts now.
        if (batch.firstOffset !== endOf(last) || bytes >= bytesMax) return batches;
        batches.push(batch);
        bytes += batch.bytes.length;
        last = batch;
      }
      if (more.length < count) break;
    }
    return batches;
  }

  /** The first one at `offset` or after it. */
  async #batchFrom(log: LogRef, offset: number): Promise<StoredBatch | undefined> {
    const stream = this.#keys.partition(log).log;
    const [entry] = (await this.#link.command('XRANGE', stream, offset, '+', 'COUNT', 1)) as Entry[];
    return entry && batchOf(entry);
  }

  /** Of all batches there ever were. */
  async #totalBytes(log: LogRef): Promise<number> {
    return Number(await this.#link.command('HGET', this.#keys.partition(log).meta, 'b'));
  }

  async #batchesOnwards(log: LogRef, offset: number, count: number): Promise<StoredBatch[]> {
    const stream = this.#keys.partition(log).log;
    return ((await this.#link.command('XRANGE', stream, offset, '+', 'COUNT', count)) as Entry[]).map(batchOf);
  }

  async #batchHolding(log: LogRef, offset: number): Promise<StoredBatch | undefined> {
    const stream = this.#keys.partition(log).log;
    const [entry] = (await this.#link.command('XREVRANGE', stream, offset, '-', 'COUNT', 1)) as Entry[];
    const batch = entry && batchOf(entry);
    return batch && endOf(batch) > offset ? batch : undefined;
  }

  /** Of what is read from now on: to be asked for first, so that a batch is never taken for newer than it is. */
  async generation(log: LogRef): Promise<string> {
    const found = (await this.#link.command('HGET', this.#keys.partition(log).meta, 'g')) as Buffer | null;
    return found?.toString() ?? '';
  }

  async offsetAt(log: LogRef, timeMs: number): Promise<number> {
    const { log: stream, meta } = this.#keys.partition(log);
    const offset = await this.#link.run(scripts.offsetAt, [stream, meta], [timeMs]);
    return offset === null ? unknownLog(log) : (offset as number);
  }

  /** @param moves how many there were when it was decided on: nothing is removed once there was one more */
  async trim(log: LogRef, beforeOffset: number, moves: number): Promise<void> {
    const { log: stream, meta } = this.#keys.partition(log);
    while ((await this.#link.run(scripts.trim, [stream, meta], [beforeOffset, trimBatchesMax, moves])) === 1);
  }

  async ends(log: LogRef): Promise<LogEnds> {
    const found = await this.#link.command('HMGET', this.#keys.partition(log).meta, 'f', 'h', 'b', 'fb', 'mv');
    const [first, head, bytes, bytesBefore, moves] = (found as (Buffer | null)[]).map(Number);
    return head ? { first: first!, head, bytes: bytes! - bytesBefore!, moves: moves! } : unknownLog(log);
  }

  /** What is at `offset`, and how many packed bytes lie from there to the head; undefined past the head. */
  async at(log: LogRef, offset: number): Promise<{ publishMs: number; bytes: number } | undefined> {
    const { log: stream, meta } = this.#keys.partition(log);
    const [publishMs, bytes] = (await this.#link.run(scripts.at, [stream, meta], [offset])) as [number?, number?];
    return publishMs === undefined ? undefined : { publishMs, bytes: bytes! };
  }

  /** Keeps the log from being trimmed while a snapshot is made. @param ms 0 lets go */
  async hold(log: LogRef, snapshotId: string, ms: number): Promise<void> {
    const args = [this.#link.now(), snapshotId, ms];
    await this.#link.run(scripts.hold, [this.#keys.partition(log).holds], args, { durable: true });
  }

  async isHeld(log: LogRef): Promise<boolean> {
    return (await this.#link.run(scripts.hold, [this.#keys.partition(log).holds], [this.#link.now(), '', 0])) !== 0;
  }

  async forget(log: LogRef, dedupeKeys: readonly string[]): Promise<void> {
    const { dedupe, dedupeAge, meta } = this.#keys.partition(log);
    await this.#link.run(scripts.forget, [dedupe, dedupeAge, meta], dedupeKeys, { durable: true });
  }

  async forgetBefore(log: LogRef, beforeMs: number): Promise<void> {
    const { dedupe, dedupeAge } = this.#keys.partition(log);
    const args = [beforeMs, forgetKeysMax];
    while ((await this.#link.run(scripts.forgetBefore, [dedupe, dedupeAge], args)) === forgetKeysMax);
  }
}

function batchOf([id, fields]: Entry): StoredBatch {
  const [firstOffset, publishMs] = id.toString().split('-').map(Number);
  return {
    firstOffset: firstOffset!,
    publishMs: publishMs!,
    count: Number(fields[1]),
    bytes: fields[5]!,
    bytesBefore: Number(fields[3]),
  };
}

function endOf({ firstOffset, count }: Batch): number {
  return firstOffset + count;
}

function unknownLog({ topicId, partition }: LogRef): never {
  throw new PubSubError('NOT_FOUND', `The topic of log ${topicId}/${partition} is gone.`);
}
