/** What random numbers are drawn for. Each purpose has its own stream, so that a fault never changes a reading. */
export const stream = { sensor: 1, phase: 2, fault: 3, backoff: 4 } as const;
