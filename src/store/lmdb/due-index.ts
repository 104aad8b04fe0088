import type { Block, Lane } from './block.ts';
import { type DueEntry, DueHeap } from './due-heap.ts';

/** What may become due: a whole block, one message of it (`index`), or what came back of a lane. */
export type Due = DueEntry &
  (
    | { readonly block: Block; readonly index: number; readonly lane?: undefined }
    | { readonly block: Block; readonly index?: undefined; readonly lane?: undefined }
    | { readonly lane: Lane; readonly block?: undefined; readonly index?: undefined }
  );

/**
 * When what is out, resting or given back has to be looked at again. A change of a time pushes a new entry; the one it
 * replaces is recognised when it surfaces, because the block, message or lane then names another time.
 */
export class DueIndex {
  readonly #heap = new DueHeap<Due>();
  #pushed = 0;

  pushBlock(block: Block): void {
    this.#heap.push({ dueMs: block.deadlineMs, order: this.#pushed++, block });
  }

  /** Gives one message a time of its own. */
  pushMessage(block: Block, index: number, dueMs: number): void {
    block.own ??= new Map();
    block.own.set(index, dueMs);
    this.#heap.push({ dueMs, order: this.#pushed++, block, index });
  }

  pushLane(lane: Lane): void {
    this.#heap.push({ dueMs: lane.dueMs, order: this.#pushed++, lane });
  }

  /** Puts back what `pop` took. */
  restore(due: Due): void {
    this.#heap.push(due);
  }

  peek(): Due | undefined {
    for (let due = this.#heap.peek(); due; due = this.#heap.peek()) {
      if (isLive(due)) return due;
      this.#heap.pop();
    }
    return undefined;
  }

  pop(): void {
    this.#heap.pop();
  }

  /** Drops what was replaced, once that is most of the index. @param live how many entries there may rightly be */
  compact(live: number): void {
    if (this.#heap.size > 1024 && this.#heap.size > 4 * live) this.#heap.compact(isLive);
  }
}

function isLive(due: Due): boolean {
  if (due.lane) return due.lane.out === 0 && due.lane.returned.length > 0 && due.lane.dueMs === due.dueMs;
  if (due.index === undefined) return due.block.left > 0 && due.block.deadlineMs === due.dueMs;
  return due.block.own?.get(due.index) === due.dueMs;
}
