import cluster from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../telemetry/logger.ts';
import { withFixedPorts } from './free-ports.ts';
import { type Report, type Serving, type StartOrder, workerWord } from './messages.ts';
import { MetricsRounds } from './metrics-rounds.ts';
import { RestartDelay } from './restart-delay.ts';
import { type WorkerDeath, WorkerSlot } from './worker-slot.ts';

/** Workers have the deadline that the supervisor was given; then so long to exit before they are killed. */
const exitMs = 1000;

/**
 * Starts `config.workers` processes that serve the same ports, and keeps them going.
 *
 * THE PORTS belong to node:cluster: it listens in this process and hands each connection to the next worker in turn.
 * Connections of devices live for days, so they have to be dealt out evenly when they come; workers that listen on a
 * shared socket by themselves take them as they happen to wake up, often all of a burst. Besides that, no byte of a
 * connection passes through this process. A connection that is being handed over when its worker dies (at most one for each
 * port) is never answered; the client's own time limit for that ends it.
 *
 * THE START: the first worker alone, because what is wrong with a port or the store is wrong for all of them and should be
 * said once; then the others. Whoever dies later is replaced after a delay that grows (`RestartDelay`), for as long as
 * this process lives: a store that was away for a night is no reason to stay away.
 *
 * THE END: SIGTERM to every worker; what is left after the deadline is killed. If this process dies first, node:cluster ends
 * each worker at the moment when its channel closes, as SIGKILL would (I10).
 *
 * @throws Error one sentence: why the first worker could not start.
 */
export async function startWorkers(config: Config, logger: Logger, version: string): Promise<App> {
  cluster.schedulingPolicy = cluster.SCHED_RR; // whatever NODE_CLUSTER_SCHED_POLICY says
  cluster.setupPrimary({ args: [workerWord], serialization: 'advanced' }); // NaN and undefined survive
  const supervisor = new Supervisor(await withFixedPorts(config), logger, version);
  try {
    const serving = await supervisor.start();
    return { ...serving, close: (deadlineMs) => supervisor.close(deadlineMs) };
  } catch (error) {
    await supervisor.close(0);
    throw error;
  }
}

interface Starting {
  readonly ready: (serving: Serving) => void;
  /** Absent: a worker that dies is tried again until it is ready. */
  readonly failed?: (reason: Error) => void;
}

class Supervisor {
  readonly #slots: readonly WorkerSlot[];
  readonly #metrics: MetricsRounds;
  readonly #logger: Logger;
  /** Workers that have not been ready yet. */
  readonly #starting = new Map<number, Starting>();

  constructor(config: Config, logger: Logger, version: string) {
    this.#logger = logger;
    this.#slots = Array.from({ length: config.workers }, (_, i) =>
      this.#openSlot({ kind: 'start', worker: i + 1, config, version }),
    );
    this.#metrics = new MetricsRounds(this.#slots);
  }

  /** Resolves when every worker accepts. */
  async start(): Promise<Serving> {
    const [first, ...others] = this.#slots;
    const serving = await new Promise<Serving>((ready, failed) => this.#start(first!, { ready, failed }));
    await Promise.all(others.map((slot) => new Promise<Serving>((ready) => this.#start(slot, { ready }))));
    return serving;
  }

  async close(deadlineMs: number): Promise<void> {
    this.#metrics.close();
    const gone = Promise.all(this.#slots.map((slot) => slot.stop()));
    const abandon = new AbortController();
    const late = sleep(deadlineMs + exitMs, 'late' as const, { signal: abandon.signal }).catch(() => undefined);
    if ((await Promise.race([gone, late])) === 'late') {
      this.#logger.warn('workers that did not stop in time are killed');
      for (const slot of this.#slots) slot.kill();
    }
    await gone;
    abandon.abort();
  }

  #openSlot(order: StartOrder): WorkerSlot {
    const { worker } = order;
    const delay = new RestartDelay(Math.random);
    const slot: WorkerSlot = new WorkerSlot(
      { order, delay, now: () => performance.now() },
      {
        onReady: (serving) => this.#onReady(worker, serving),
        onDeath: (death) => this.#onDeath(worker, death),
        onReport: (report) => this.#onReport(slot, report),
      },
    );
    return slot;
  }

  #start(slot: WorkerSlot, starting: Starting): void {
    this.#starting.set(slot.number, starting);
    slot.start();
  }

  #onReady(worker: number, serving: Serving): void {
    this.#starting.get(worker)?.ready(serving);
    this.#starting.delete(worker);
  }

  #onDeath(worker: number, death: WorkerDeath): void {
    const failed = this.#starting.get(worker)?.failed;
    if (failed) failed(new Error(death.reason));
    else if (death.delayMs !== undefined)
      this.#logger.error({ worker, ...death }, 'a worker died and will be replaced');
  }

  #onReport(slot: WorkerSlot, report: Report): void {
    if (report.kind === 'metrics') this.#metrics.told(slot.number, report.round, report.families);
    if (report.kind === 'ask group metrics') {
      this.#metrics.ask((group) => slot.tell({ kind: 'group metrics', group }));
    }
  }
}
