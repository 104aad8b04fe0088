import fc from 'fast-check';

const seed = process.env['SEED'];

/** Checks a property; a failure prints its seed and smallest case, and `SEED=… npm test` runs the same cases again. */
export async function holds<T extends [unknown, ...unknown[]]>(
  property: fc.IRawProperty<T>,
  runs = 200,
): Promise<void> {
  await fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed: Number(seed) }) });
}
