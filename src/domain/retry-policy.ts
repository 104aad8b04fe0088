/** google.pubsub.v1 RetryPolicy. Without one a message is due again at once. */
export interface RetryPolicy {
  readonly minimumBackoffMs: number; // 0..600_000
  readonly maximumBackoffMs: number; // 0..600_000, not below the minimum
}

/**
 * How long a message rests after its `attempt`-th delivery failed: it doubles from the minimum with each attempt and
 * stops at the maximum.
 */
export function backoffMs(policy: RetryPolicy | undefined, attempt: number): number {
  if (!policy) return 0;
  const doublings = Math.min(Math.max(attempt, 1) - 1, 30);
  return Math.min(policy.minimumBackoffMs * 2 ** doublings, policy.maximumBackoffMs);
}
