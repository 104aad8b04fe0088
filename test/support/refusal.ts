import { expect } from 'vitest';
import { type ErrorCode, PubSubError } from '../../src/domain/errors.ts';

/** The PubSubError that `act` ends with; fails when it ends well or with a bug. */
async function refusalOf(act: () => unknown): Promise<PubSubError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof PubSubError) return error;
    throw error;
  }
  throw new Error('expected a refusal, but it was allowed');
}

/** Expects a refusal with this code whose sentence says all of `says`. */
export async function expectRefusal(act: () => unknown, code: ErrorCode, ...says: readonly string[]): Promise<void> {
  const refusal = await refusalOf(act);
  expect(refusal.code, refusal.message).toBe(code);
  for (const part of says) expect(refusal.message).toContain(part);
}
