/**
 * How long to wait before the `attempt`-th try (from 1): doubling from 50 ms to 2 s, and anywhere in the upper half of
 * that, so that many nodes that lost the same server do not come back at the same moment.
 */
export function backOffMs(attempt: number): number {
  const ms = Math.min(2000, 50 * 2 ** Math.min(attempt - 1, 10));
  return Math.round(ms * (0.5 + Math.random() / 2));
}
