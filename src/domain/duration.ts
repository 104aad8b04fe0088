import { invalidArgument } from './errors.ts';

export const secondMs = 1000;
export const minuteMs = 60 * secondMs;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

/**
 * Refuses a duration outside `minMs..maxMs`, naming both ends in seconds as the API writes them.
 * @param field in proto names, as the user knows it (`retry_policy.minimum_backoff`).
 */
export function checkDuration(field: string, ms: number, minMs: number, maxMs: number): void {
  if (ms >= minMs && ms <= maxMs) return;
  const range = maxMs === Number.POSITIVE_INFINITY ? `at least ${inSeconds(minMs)}` : between(minMs, maxMs);
  throw invalidArgument(`${field} is ${inSeconds(ms)}; it must be ${range}.`);
}

function between(minMs: number, maxMs: number): string {
  return `between ${inSeconds(minMs)} and ${inSeconds(maxMs)}`;
}

/** `600s (10 min)`; the long form only where it is a round one. */
function inSeconds(ms: number): string {
  const seconds = `${ms / secondMs}s`;
  if (ms >= dayMs && ms % dayMs === 0) return `${seconds} (${ms / dayMs} d)`;
  if (ms >= minuteMs && ms % minuteMs === 0) return `${seconds} (${ms / minuteMs} min)`;
  return seconds;
}
