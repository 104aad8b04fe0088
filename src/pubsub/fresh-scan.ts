import { decodeRecord, laneOfRecord } from '../domain/message.ts';
import type { FreshRange, LogRef } from '../store/store.ts';
import type { PubSubBounds } from './bounds.ts';
import type { Definition } from './definition.ts';
import type { LogBatch } from './log-batch.ts';
import type { LogPosition, LogReader } from './log-reader.ts';

/** How much a lease may hand out. */
export interface LeaseRoom {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

export interface FreshScan {
  /** What was looked at, for the store; undefined when there is nothing past the cursor. */
  readonly fresh: FreshRange | undefined;
  /** Where those messages are, so that the ones handed out need not be looked up again. */
  readonly batches: readonly LogBatch[];
  /** The cursor stands on messages that were trimmed: the first offset that is still kept. */
  readonly keptFrom: number | undefined;
}

/**
 * Looks at the messages from the cursor on, without changing anything: which ones the filter rejects, which lane each
 * belongs to, and how many fit the room. Ends where the log turns out to be of another generation: the lease tells which.
 */
export async function scanFresh(
  reader: LogReader,
  log: LogRef,
  from: LogPosition,
  definition: Definition,
  room: LeaseRoom,
  bounds: PubSubBounds,
): Promise<FreshScan> {
  const look = new FreshLook(from, definition, room, bounds);
  const batches: LogBatch[] = [];
  const { generation } = from;
  for (let { offset } = from; !look.full; ) {
    const at = { offset, generation };
    const batch = reader.cached(log, at) ?? (await reader.fetch(log, at));
    if (!batch || batch.generation !== generation) break;
    if (!batch.holds(offset)) {
      if (offset === from.offset) return { fresh: undefined, batches, keptFrom: batch.firstOffset };
      break;
    }
    batches.push(batch);
    look.take(batch);
    offset = batch.endOffset;
  }
  return { fresh: look.range(), batches, keptFrom: undefined };
}

/** Walks over records in the order of the log until the room or a bound is used up. */
class FreshLook {
  readonly #from: number;
  readonly #generation: string | undefined;
  readonly #definition: Definition;
  readonly #room: LeaseRoom;
  readonly #scanBytesMax: number;
  readonly #scanMessagesMax: number;
  readonly #skip: Uint8Array | undefined;
  readonly #lanes: Uint32Array | undefined;
  #count = 0;
  #scannedBytes = 0;
  #accepted = 0;
  #acceptedBytes = 0;
  full = false;

  constructor({ offset, generation }: LogPosition, definition: Definition, room: LeaseRoom, bounds: PubSubBounds) {
    this.#from = offset;
    this.#generation = generation;
    this.#definition = definition;
    this.#room = room;
    this.#scanBytesMax = bounds.scanBytesMax;
    this.#scanMessagesMax = definition.accepts ? bounds.scanMessagesMax : room.messagesMax;
    this.#skip = definition.accepts && new Uint8Array(this.#scanMessagesMax);
    if (definition.subscription.enableMessageOrdering) this.#lanes = new Uint32Array(this.#scanMessagesMax);
  }

  take(batch: LogBatch): void {
    for (let offset = this.#from + this.#count; offset < batch.endOffset; offset++) {
      const bytes = batch.recordBytes(offset);
      if (!this.#hasRoomFor(bytes)) {
        this.full = true;
        return;
      }
      this.#look(batch, offset);
      this.#scannedBytes += bytes;
      if (this.#skip?.[this.#count] !== 1) {
        this.#accepted++;
        this.#acceptedBytes += bytes;
      }
      this.#count++;
    }
    this.full = !this.#hasRoomFor(1); // not even for the smallest: the next batch need not be read
  }

  range(): FreshRange | undefined {
    if (this.#count === 0) return undefined;
    return {
      from: this.#from,
      count: this.#count,
      ...(this.#generation && { generation: this.#generation }),
      ...(this.#skip && { skip: this.#skip.subarray(0, this.#count) }),
      ...(this.#lanes && { lanes: this.#lanes.subarray(0, this.#count) }),
    };
  }

  /** The first message always has room: one that is larger than the caller's limit must still get through. */
  #hasRoomFor(bytes: number): boolean {
    if (this.#count === 0) return true;
    return (
      this.#accepted < this.#room.messagesMax &&
      this.#count < this.#scanMessagesMax &&
      this.#scannedBytes < this.#scanBytesMax &&
      (this.#accepted === 0 || this.#acceptedBytes + bytes <= this.#room.bytesMax)
    );
  }

  #look(batch: LogBatch, offset: number): void {
    if (this.#skip && !this.#definition.accepts!(decodeRecord(batch.record(offset)).attributes)) {
      this.#skip[this.#count] = 1;
    } else if (this.#lanes) this.#lanes[this.#count] = laneOfRecord(batch.record(offset));
  }
}
