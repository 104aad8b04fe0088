import type { LeaseRef, Outcome } from '../store.ts';

/** References to one block whose indexes follow each other. */
interface Run {
  readonly head: LeaseRef;
  count: number;
  /** The offsets follow each other too; else each is listed. */
  consecutive: boolean;
}

export interface Settlement {
  /** As `scripts/settle.lua` reads it. */
  readonly packed: Buffer;
  /** One outcome per reference from the script's one or more letters per run. */
  outcomes(letters: readonly Buffer[]): Outcome[];
}

const headBytes = 41;
const outcomeOf: Readonly<Record<string, Outcome>> = { o: 'ok', s: 'stale', u: 'unordered' };

/** Packs references so that a whole block is one run, however many messages it holds. Their order is kept. */
export function packSettlement(refs: readonly LeaseRef[]): Settlement {
  const runs: Run[] = [];
  let previous: LeaseRef | undefined;
  for (const ref of refs) {
    const run = runs.at(-1);
    if (run && previous && follows(ref, previous)) {
      run.count++;
      run.consecutive &&= ref.offset === previous.offset + 1;
    } else runs.push({ head: ref, count: 1, consecutive: true });
    previous = ref;
  }
  return { packed: pack(runs, refs), outcomes: (letters) => runs.flatMap((run, at) => outcomesOf(run, letters[at]!)) };
}

function follows(ref: LeaseRef, previous: LeaseRef): boolean {
  return ref.epoch === previous.epoch && ref.block === previous.block && ref.index === previous.index + 1;
}

function pack(runs: readonly Run[], refs: readonly LeaseRef[]): Buffer {
  const bytes = runs.reduce((sum, { count, consecutive }) => sum + headBytes + (consecutive ? 0 : count * 4), 0);
  const packed = Buffer.allocUnsafe(bytes);
  let at = 0;
  let next = 0;
  for (const { head, count, consecutive } of runs) {
    for (const number of [head.epoch, head.block, head.index, count, head.offset])
      at = packed.writeDoubleBE(number, at);
    at = packed.writeUInt8(consecutive ? 0 : 1, at);
    for (const { offset } of consecutive ? [] : refs.slice(next, next + count))
      at = packed.writeUInt32BE(offset >>> 0, at);
    next += count;
  }
  return packed;
}

function outcomesOf({ count }: Run, letters: Buffer): Outcome[] {
  const text = letters.toString('latin1');
  if (text.length === 1) return new Array<Outcome>(count).fill(outcomeOf[text]!);
  return Array.from(text, (letter) => outcomeOf[letter]!);
}
