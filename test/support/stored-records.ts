import { expect } from 'vitest';
import type { RunningServer } from './start-server.ts';

/** Resolves when the server has stored `count` more messages: what comes next then falls into the traffic, not beside it. */
export async function storesMore(server: RunningServer, count: number): Promise<void> {
  const stored = async () => {
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
    return Number(/^headwater_store_records_total (\d+)/m.exec(metrics)?.[1]);
  };
  const start = await stored();
  await expect.poll(stored, { timeout: 30_000, interval: 50 }).toBeGreaterThan(start + count);
}
