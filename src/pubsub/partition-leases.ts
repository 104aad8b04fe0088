import { PubSubError } from '../domain/errors.ts';
import type {
  FreshRange,
  LeaseGrant,
  LeaseRef,
  LeaseRequest,
  LogRef,
  Store,
  SubscriptionPartition,
} from '../store/store.ts';
import type { PubSubBounds } from './bounds.ts';
import type { Definition } from './definition.ts';
import { type LeaseRoom, scanFresh } from './fresh-scan.ts';
import { type LogBatch, lastStarting } from './log-batch.ts';
import type { LogPosition, LogReader } from './log-reader.ts';
import { Turn } from './turn.ts';

/** One message that was just leased. */
export interface Delivery extends LeaseRef {
  readonly partition: number;
  readonly attempt: number;
  readonly deadlineMs: number;
  readonly publishMs: number;
  readonly record: Buffer;
}

export interface Leased {
  readonly deliveries: readonly Delivery[];
  /** When something becomes due again; undefined when nothing waits for that. */
  readonly nextDueMs: number | undefined;
  /** Nothing was found yet, but there is more to look at. */
  readonly more: boolean;
}

export interface LeaseWants extends LeaseRoom {
  readonly ackDeadlineMs: number;
}

interface Parts {
  readonly store: Store;
  readonly reader: LogReader;
  readonly bounds: PubSubBounds;
  /** Told how many messages were leased and given back untried. */
  readonly gaveBack: (messages: number) => void;
}

/**
 * Hands out the messages of one subscription on one partition. The node keeps no lease state: only where it last saw
 * the cursor, so that it can read ahead of it.
 *
 *     1  read from the cursor on; evaluate filter and lanes (`scanFresh`)
 *     2  lease: due messages, then the fresh range, if the cursor is still where we read; remember where it is now
 *     3  nothing handed out, and the cursor not at the head: again, a bounded number of times
 *     4  find the records; what was trimmed meanwhile is acked; what makes the reply too large is given back
 *
 * Calls take turns, so that two callers of this node never read ahead of the same cursor.
 */
export class PartitionLeases {
  readonly #parts: Parts;
  readonly #log: LogRef;
  readonly #at: SubscriptionPartition;
  readonly #turn = new Turn();
  #cursor: LogPosition | undefined;

  constructor(parts: Parts, at: SubscriptionPartition, log: LogRef) {
    this.#parts = parts;
    this.#at = at;
    this.#log = log;
  }

  lease(definition: Definition, wants: LeaseWants): Promise<Leased> {
    return this.#turn.run(() => this.#lease(definition, wants));
  }

  /** Leases due messages whose next delivery would be at least the `attemptMin`-th, and nothing else. */
  leaseSpent(definition: Definition, wants: LeaseWants, attemptMin: number): Promise<Leased> {
    return this.#turn.run(async () => {
      const grant = await this.#ask({ ...requestFor(definition, wants, undefined), attemptMin });
      const leased = await this.#leased(grant, [], wants);
      return { ...leased, more: leased.more || (leased.deliveries.length === 0 && grant.more === true) };
    });
  }

  /** For messages that were never really tried: no backoff, and not counted as an attempt. */
  async giveBack(refs: readonly LeaseRef[]): Promise<void> {
    await this.#parts.store.nack(this.#at, refs, { strict: false, retry: undefined, counted: false });
    this.#parts.gaveBack(refs.length);
  }

  async #lease(definition: Definition, wants: LeaseWants): Promise<Leased> {
    for (let turn = 0; turn < this.#parts.bounds.leaseTurnsMax; turn++) {
      const before = this.#cursor;
      const { fresh, batches } = await this.#scan(definition, wants);
      const grant = await this.#ask(requestFor(definition, wants, fresh));
      if (grant.blocks.length > 0) return this.#leased(grant, batches, wants);
      const unmoved = grant.cursor === before?.offset && grant.generation === before.generation;
      if (!grant.more && (unmoved || grant.cursor >= grant.head)) {
        return { deliveries: [], nextDueMs: grant.nextDueMs, more: false };
      }
    }
    return { deliveries: [], nextDueMs: undefined, more: true };
  }

  /** Nothing is read before the store has said where the cursor is. */
  async #scan(definition: Definition, room: LeaseRoom) {
    if (this.#cursor === undefined) return { fresh: undefined, batches: [] };
    const { reader, bounds, store } = this.#parts;
    const scan = await scanFresh(reader, this.#log, this.#cursor, definition, room, bounds);
    // What retention has trimmed under the cursor counts as acked.
    if (scan.keptFrom !== undefined) await store.skipTo(this.#at, scan.keptFrom);
    return scan;
  }

  async #ask(request: LeaseRequest): Promise<LeaseGrant> {
    const grant = await this.#parts.store.lease(this.#at, request);
    this.#cursor = { offset: grant.cursor, generation: grant.generation };
    return grant;
  }

  async #leased(grant: LeaseGrant, scanned: readonly LogBatch[], room: LeaseRoom): Promise<Leased> {
    try {
      const { found, gone } = await this.#find(grant, scanned);
      if (gone.length > 0) await this.#parts.store.ack(this.#at, gone, { strict: false });
      const fitting = howManyFit(found, room.bytesMax);
      if (fitting < found.length) await this.giveBack(found.splice(fitting));
      return { deliveries: found, nextDueMs: grant.nextDueMs, more: found.length === 0 && gone.length > 0 };
    } catch (error) {
      await this.giveBack(refsOf(grant)).catch(() => undefined); // else their deadline does it
      throw error;
    }
  }

  async #find(grant: LeaseGrant, scanned: readonly LogBatch[]): Promise<{ found: Delivery[]; gone: LeaseRef[] }> {
    const found: Delivery[] = [];
    const gone: LeaseRef[] = [];
    const { partition } = this.#at;
    const { epoch, generation } = grant;
    let batch: LogBatch | undefined;
    for (const { block, offsets, attempts, deadlineMs } of grant.blocks) {
      for (let index = 0; index < offsets.length; index++) {
        const offset = offsets[index]!;
        if (!batch?.holds(offset)) batch = await this.#batchOf({ offset, generation }, scanned);
        if (!batch) gone.push({ epoch, block, index, offset });
        else {
          const { publishMs } = batch;
          const record = batch.record(offset);
          found.push({
            epoch,
            block,
            index,
            offset,
            partition,
            attempt: attempts[index]!,
            deadlineMs,
            publishMs,
            record,
          });
        }
      }
    }
    return { found, gone };
  }

  /** @throws UNAVAILABLE what is read is of another history than what was leased. */
  async #batchOf(at: LogPosition, scanned: readonly LogBatch[]): Promise<LogBatch | undefined> {
    const { offset, generation } = at;
    const scannedBatch = lastStarting(scanned, offset);
    if (scannedBatch?.holds(offset) && scannedBatch.generation === generation) return scannedBatch;
    const { reader } = this.#parts;
    const batch = reader.cached(this.#log, at) ?? (await reader.fetch(this.#log, at));
    if (batch && batch.generation !== generation) {
      throw new PubSubError('UNAVAILABLE', 'The store has just failed over to another server; try again.');
    }
    return batch?.holds(offset) ? batch : undefined;
  }
}

function requestFor({ subscription }: Definition, wants: LeaseWants, fresh: FreshRange | undefined): LeaseRequest {
  return {
    messagesMax: wants.messagesMax,
    ackDeadlineMs: wants.ackDeadlineMs,
    retry: subscription.retry,
    keepAttempts: subscription.deadLetter !== undefined,
    durable: subscription.enableExactlyOnceDelivery,
    ...(fresh && { fresh }),
  };
}

function refsOf({ epoch, blocks }: LeaseGrant): LeaseRef[] {
  return blocks.flatMap(({ block, offsets }) => offsets.map((offset, index) => ({ epoch, block, index, offset })));
}

/** At least one: a message that is larger than the limit must still get through. */
function howManyFit(deliveries: readonly Delivery[], bytesMax: number): number {
  let bytes = 0;
  const first = deliveries.findIndex(({ record }, index) => {
    bytes += record.length;
    return index > 0 && bytes > bytesMax;
  });
  return first < 0 ? deliveries.length : first;
}
