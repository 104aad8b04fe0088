import type { RetryPolicy } from '../../domain/retry-policy.ts';

/** A message of a block: */
export const leased = 0; // out, due at the block's deadline
export const leasedAlone = 1; // out, with a deadline of its own
export const resting = 2; // past its deadline, waits for the retry policy's backoff; a late ack still finds it
export const nacked = 3; // given back, its reference is void, waits for the backoff
export const ackedAhead = 4; // acked, but an earlier message of its lane is not: not durable yet
export const gone = 5; // settled, or handed out again in another block

/** With whoever leased it, as far as the block knows. */
export function isOut(state: number): boolean {
  return state === leased || state === leasedAlone;
}

/** Messages that were handed out together; position i of each array is one message. */
export interface Block {
  readonly id: number;
  readonly offsets: readonly number[]; // ascending
  readonly attempts: number[];
  readonly states: number[];
  /** Lane of each message and its neighbours in the lane (-1: none); only in blocks of ordered subscriptions. */
  readonly lanes: readonly (Lane | undefined)[] | undefined;
  readonly previous: readonly number[] | undefined;
  readonly next: readonly number[] | undefined;
  /** When each message with a time of its own is due: leasedAlone, resting, nacked. */
  own: Map<number, number> | undefined;
  deadlineMs: number;
  readonly retry: RetryPolicy | undefined;
  /** Messages that are not `gone`. */
  left: number;
}

/**
 * An ordering key's state while anything of it is out, back or parked.
 *
 *     fresh ──► out (a run, in one block) ──acked──► next run: first `returned`, then `parked`
 *                 │ nack or expiry of one message
 *                 └──► it and the rest of the run ──► `returned`, due at `dueMs` once nothing is out
 */
export interface Lane {
  readonly id: number;
  /** Messages of the run that is handed out and not settled. */
  out: number;
  /** What goes out next, in order, with the attempt number it will have. */
  returned: Returned[];
  dueMs: number;
  /** Offsets that came after the run, in order. */
  parked: number[];
  /** The block under construction that may still take fresh messages of this lane. */
  openIn: object | undefined;
}

export interface Returned {
  readonly offset: number;
  readonly attempt: number;
}

/** What a block is made of, in any order. */
export interface Taken {
  readonly offset: number;
  readonly attempt: number;
  readonly lane: Lane | undefined;
}

/** Sorts by offset and links the messages of each lane. */
export function makeBlock(id: number, taken: Taken[], deadlineMs: number, retry: RetryPolicy | undefined): Block {
  taken.sort((a, b) => a.offset - b.offset);
  const ordered = taken.some(({ lane }) => lane !== undefined);
  const links = ordered ? linkLanes(taken) : undefined;
  return {
    id,
    offsets: taken.map((message) => message.offset),
    attempts: taken.map((message) => message.attempt),
    states: new Array(taken.length).fill(leased),
    lanes: ordered ? taken.map((message) => message.lane) : undefined,
    previous: links?.previous,
    next: links?.next,
    own: undefined,
    deadlineMs,
    retry,
    left: taken.length,
  };
}

function linkLanes(taken: readonly Taken[]): { previous: number[]; next: number[] } {
  const previous: number[] = new Array(taken.length).fill(-1);
  const next: number[] = new Array(taken.length).fill(-1);
  const last = new Map<Lane, number>();
  taken.forEach(({ lane }, index) => {
    if (!lane) return;
    const before = last.get(lane);
    if (before !== undefined) {
      previous[index] = before;
      next[before] = index;
    }
    last.set(lane, index);
  });
  return { previous, next };
}
