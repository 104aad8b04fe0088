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
/** What one call settles, so that no other client of Redis waits long behind it; each run may mean a block of its own. */
const runsMax = 250;
const refsMax = 5000;
const outcomeOf: Readonly<Record<string, Outcome>> = { o: 'ok', s: 'stale', u: 'unordered' };

/**
 * Packs references so that a whole block is one run, however many messages it holds. Their order is kept. One settlement
 * for each call; without references there is one all the same, which asks whether there is such a subscription.
 */
export function* settlements(refs: readonly LeaseRef[]): Generator<Settlement> {
  const runs = runsOf(refs);
  let from = 0;
  let next = 0;
  do {
    const mine = firstOf(runs, from);
    const count = mine.reduce((sum, run) => sum + run.count, 0);
    yield settlementOf(mine, refs.slice(next, next + count));
    from += mine.length;
    next += count;
  } while (from < runs.length);
}

/** As many as one call takes, at least one if there is any. */
function firstOf(runs: readonly Run[], from: number): readonly Run[] {
  let to = from;
  for (let refs = 0; to < runs.length && to - from < runsMax; to++) {
    refs += runs[to]!.count;
    if (refs > refsMax && to > from) break;
  }
  return runs.slice(from, to);
}

function settlementOf(runs: readonly Run[], refs: readonly LeaseRef[]): Settlement {
  return { packed: pack(runs, refs), outcomes: (letters) => runs.flatMap((run, at) => outcomesOf(run, letters[at]!)) };
}

function runsOf(refs: readonly LeaseRef[]): Run[] {
  const runs: Run[] = [];
  let previous: LeaseRef | undefined;
  for (const ref of refs) {
    const run = runs.at(-1);
    if (run && previous && run.count < refsMax && follows(ref, previous)) {
      run.count++;
      run.consecutive &&= ref.offset === previous.offset + 1;
    } else runs.push({ head: ref, count: 1, consecutive: true });
    previous = ref;
  }
  return runs;
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
