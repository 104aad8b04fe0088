import type { Lane, Taken } from './block.ts';

/**
 * The ordering keys of one subscription-partition that have anything out, back or parked; the rest cost nothing.
 * `Lane` tells the states. Parked offsets are bounded: at the bound the cursor stands still until keys are settled.
 */
export class Lanes {
  readonly #lanes = new Map<number, Lane>();
  /** Lanes with nothing out and something parked, oldest first. */
  readonly #ready = new Set<Lane>();
  #parked = 0;
  readonly #parkedMax: number;

  constructor(parkedMax: number) {
    this.#parkedMax = parkedMax;
  }

  get hasReady(): boolean {
    return this.#ready.size > 0;
  }

  get full(): boolean {
    return this.#parked >= this.#parkedMax;
  }

  /** A fresh message: into the block under construction if nothing of its lane stands in the way. */
  takeFresh(id: number, into: object): Lane | undefined {
    let lane = this.#lanes.get(id);
    if (!lane) {
      lane = { id, out: 0, returned: [], dueMs: 0, parked: [], openIn: into };
      this.#lanes.set(id, lane);
    }
    if (lane.openIn !== into || lane.parked.length > 0 || lane.returned.length > 0) return undefined;
    lane.out++;
    return lane;
  }

  park(id: number, offset: number): void {
    this.#lanes.get(id)!.parked.push(offset);
    this.#parked++;
  }

  /** Parked runs of lanes that came free, at most `room` messages. @param attemptOf what a first delivery counts as */
  takeReady(
    room: number,
    into: object,
    isAcked: (offset: number) => boolean,
    attemptOf: (offset: number) => number,
  ): Taken[] {
    const taken: Taken[] = [];
    for (const lane of this.#ready) {
      if (taken.length >= room) break;
      this.#ready.delete(lane);
      const run = lane.parked.splice(0, room - taken.length);
      this.#parked -= run.length;
      const wanted = run.filter((offset) => !isAcked(offset));
      this.#open(lane, wanted.length, into);
      for (const offset of wanted) taken.push({ offset, attempt: attemptOf(offset), lane });
      this.settle(lane);
    }
    return taken;
  }

  /** Messages that came back, at most `room`; the rest of them waits for these to be settled. */
  takeReturned(lane: Lane, room: number, into: object, isAcked: (offset: number) => boolean): Taken[] {
    const run = lane.returned.splice(0, room);
    lane.dueMs = 0;
    const wanted = run.filter(({ offset }) => !isAcked(offset));
    this.#open(lane, wanted.length, into);
    return wanted.map(({ offset, attempt }) => ({ offset, attempt, lane }));
  }

  /**
   * After something of the lane was settled. @returns true when what was returned may now go out, at `lane.dueMs`.
   */
  settle(lane: Lane): boolean {
    if (lane.out > 0) return false;
    lane.openIn = undefined;
    if (lane.returned.length > 0) return true;
    if (lane.parked.length > 0) this.#ready.add(lane);
    else this.#lanes.delete(lane.id);
    return false;
  }

  clear(): void {
    this.#lanes.clear();
    this.#ready.clear();
    this.#parked = 0;
  }

  #open(lane: Lane, messages: number, into: object): void {
    lane.out += messages;
    lane.openIn = messages > 0 ? into : undefined;
  }
}
