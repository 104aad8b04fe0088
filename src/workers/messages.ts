import type { App } from '../app.ts';
import type { Config } from '../config.ts';

// What the supervisor and a worker say to each other: of processes and metrics, never of a device's messages.

/** What a worker is called on its command line: for `isWorker`, and for whoever lists processes. */
export const workerWord = 'worker';

/** The answer to a worker's `hello`. It reads no flags, environment or file of its own, so all workers serve the same. */
export interface StartOrder {
  readonly kind: 'start';
  readonly worker: number; // 1 to `config.workers`; a replacement takes the number of the one that died
  readonly config: Config; // its ports are never 0
  readonly version: string;
}

/** Supervisor to worker. */
export type Order =
  | StartOrder
  | { readonly kind: 'tell metrics'; readonly round: number }
  | { readonly kind: 'group metrics'; readonly group: GroupMetrics };

/** Worker to supervisor. */
export type Report =
  | { readonly kind: 'hello' } // it listens to orders from here on; earlier ones would be lost
  | ({ readonly kind: 'ready' } & Serving)
  | { readonly kind: 'failed'; readonly reason: string } // one sentence; the worker ends
  | { readonly kind: 'metrics'; readonly round: number; readonly families: readonly MetricFamily[] }
  | { readonly kind: 'ask group metrics' };

export type Serving = Pick<App, 'urls' | 'durability'>;

/** A metric as prom-client's registry gives it out (its own types say that `type` is a number; it is a word). */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, string | number>> }[];
}

/** What every worker had to say at about the same moment. */
export interface GroupMetrics {
  readonly workers: readonly WorkerMetrics[];
}

export interface WorkerMetrics {
  readonly worker: number;
  /** How often this worker was replaced. */
  readonly restarts: number;
  /** Absent: it serves nothing right now, or did not answer in time. */
  readonly families?: readonly MetricFamily[];
}

/**
 * From a worker. Resolves when it is on its way; a failure is nobody's business, because the supervisor's end is this
 * process's end too.
 */
export function report(message: Report): Promise<void> {
  return new Promise((resolve) => process.send!(message, () => resolve()));
}
