import { type Block, gone, isOut, leasedAlone } from './block.ts';

/** The blocks that still hold messages, and how many those are. */
export class HeldBlocks {
  readonly #blocks = new Map<number, Block>();
  #outstanding = 0;
  #held = 0;

  /** Messages that are out: neither settled nor given back. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Messages that are out or wait to go out again. */
  get held(): number {
    return this.#held;
  }

  get count(): number {
    return this.#blocks.size;
  }

  get(id: number): Block | undefined {
    return this.#blocks.get(id);
  }

  add(block: Block): void {
    this.#blocks.set(block.id, block);
    this.#outstanding += block.left;
    this.#held += block.left;
  }

  setState(block: Block, index: number, state: number): void {
    this.#outstanding += Number(isOut(state)) - Number(isOut(block.states[index]!));
    block.states[index] = state;
  }

  /** The message leaves its block. */
  drop(block: Block, index: number): void {
    this.setState(block, index, gone);
    block.own?.delete(index);
    this.#held--;
    if (--block.left === 0) this.#blocks.delete(block.id);
  }
}

/** When the lease of a message that is out ends. */
export function deadlineOf(block: Block, index: number): number {
  return block.states[index] === leasedAlone ? block.own!.get(index)! : block.deadlineMs;
}
