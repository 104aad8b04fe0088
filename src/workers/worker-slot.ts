import cluster, { type Worker } from 'node:cluster';
import type { Order, Report, Serving, StartOrder } from './messages.ts';
import type { RestartDelay } from './restart-delay.ts';

/** Told by a slot; none may throw. */
export interface SlotEvents {
  onReady(serving: Serving): void;
  onDeath(death: WorkerDeath): void;
  /** What has nothing to do with living and dying. */
  onReport(report: Report): void;
}

export interface WorkerDeath {
  readonly pid: number | undefined;
  /** A sentence. */
  readonly reason: string;
  /** Until its replacement starts; undefined: there will be none. */
  readonly delayMs?: number;
}

export interface SlotOptions {
  readonly order: StartOrder;
  readonly delay: RestartDelay;
  /** ms of a clock that never goes back */
  readonly now: () => number;
}

/**
 * One place among the workers, and the process that fills it.
 *
 *     empty ──start──► starting ──ready──► serving
 *       ▲                 │ died              │ died
 *       └──── a delay ────┴───────────────────┘        stop, from anywhere: SIGTERM, and it stays empty
 */
export class WorkerSlot {
  readonly #options: SlotOptions;
  readonly #events: SlotEvents;
  #process: Worker | undefined;
  #servingSinceMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #restarts = 0;
  #stopped: (() => void) | undefined;

  constructor(options: SlotOptions, events: SlotEvents) {
    this.#options = options;
    this.#events = events;
  }

  get number(): number {
    return this.#options.order.worker;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get serving(): boolean {
    return this.#servingSinceMs !== undefined;
  }

  start(): void {
    try {
      this.#fork();
    } catch (error) {
      this.#onDeath(undefined, (error as Error).message); // the system has no process to give
    }
  }

  /** What a worker that is ending does not hear is lost; whoever waits for an answer has a bound. */
  tell(order: Order): void {
    this.#process?.send(order, () => {});
  }

  /** Resolves when its process is gone; at once when it has none. */
  stop(): Promise<void> {
    clearTimeout(this.#timer);
    return new Promise((resolve) => {
      this.#stopped = resolve;
      if (this.#process) this.#process.process.kill('SIGTERM');
      else resolve();
    });
  }

  /** For a process that a stop did not end in time. */
  kill(): void {
    this.#process?.process.kill('SIGKILL');
  }

  #fork(): void {
    let reason: string | undefined;
    const worker = cluster.fork();
    this.#process = worker;
    worker.on('message', (report: Report) => {
      if (report.kind === 'hello') this.tell(this.#options.order);
      else if (report.kind === 'failed') reason = report.reason;
      else if (report.kind === 'ready') this.#onReady(report);
      else this.#events.onReport(report);
    });
    worker.on('error', (error) => {
      if (worker.process.pid === undefined) this.#onDeath(worker, error.message); // it never came to be, so it does not exit
    });
    worker.on('exit', (code, signal) => this.#onDeath(worker, reason ?? endOf(code, signal)));
  }

  #onReady({ urls, durability }: Serving): void {
    this.#servingSinceMs = this.#options.now();
    this.#events.onReady({ urls, durability });
  }

  #onDeath(worker: Worker | undefined, reason: string): void {
    if (this.#process !== worker) return;
    const { delay, now } = this.#options;
    const servedMs = this.#servingSinceMs === undefined ? 0 : now() - this.#servingSinceMs;
    this.#process = undefined;
    this.#servingSinceMs = undefined;
    const pid = worker?.process.pid;
    if (this.#stopped) {
      this.#events.onDeath({ pid, reason });
      this.#stopped();
      return;
    }
    const delayMs = Math.round(delay.afterDeathMs(servedMs));
    this.#timer = setTimeout(() => this.#restart(), delayMs);
    this.#events.onDeath({ pid, reason, delayMs });
  }

  #restart(): void {
    this.#restarts++;
    this.start();
  }
}

function endOf(code: number | null, signal: string | null): string {
  return signal ? `It was ended by ${signal}.` : `It ended with exit code ${code}.`;
}
