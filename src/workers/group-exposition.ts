import { type Metric, Registry } from 'prom-client';
import { type Exposition, exposeMetrics } from '../telemetry/metrics.ts';
import { type GroupMetrics, type MetricFamily, type Order, report, type WorkerMetrics } from './messages.ts';

/**
 * /metrics of a worker. A scrape reaches whichever worker takes its connection, so each of them tells the numbers of
 * all, by the label `worker`. They are not summed up: the sum would fall when a worker dies, and what reads counters would
 * take that for a new start of all; and a level that workers share (the size of the store) would count twice.
 */
export class GroupExposition implements Exposition {
  readonly #own: Registry;
  #group: Promise<GroupMetrics> | undefined;
  #answer: ((group: GroupMetrics) => void) | undefined;

  constructor(own: Registry) {
    this.#own = own;
    // A scrape that cannot be answered is the supervisor's to time out; it must not end the worker.
    process.on('message', (order: Order) => void this.#onOrder(order).catch(() => undefined));
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  /** One question is under way at a time; the supervisor answers within a bound. */
  async metrics(): Promise<string> {
    this.#group ??= new Promise((resolve) => {
      this.#answer = resolve;
      void report({ kind: 'ask group metrics' });
    });
    return registryOf(await this.#group).metrics();
  }

  async #onOrder(order: Order): Promise<void> {
    if (order.kind === 'tell metrics') {
      const families = (await this.#own.getMetricsAsJSON()) as unknown as MetricFamily[];
      await report({ kind: 'metrics', round: order.round, families });
    } else if (order.kind === 'group metrics') {
      this.#group = undefined;
      this.#answer?.(order.group);
    }
  }
}

function registryOf({ workers }: GroupMetrics): Registry {
  const registry = new Registry();
  for (const family of mergeFamilies(workers)) {
    const metric = { name: family.name, get: async () => family };
    registry.registerMetric(metric as unknown as Metric); // it only ever calls `get`
  }
  const byWorker = (read: (one: WorkerMetrics) => number) => () =>
    new Map(workers.map((one) => [String(one.worker), read(one)]));
  const up = byWorker(({ families }) => (families ? 1 : 0));
  const restarts = byWorker((one) => one.restarts);
  exposeMetrics(registry, [
    { name: 'worker_up', help: 'Whether a worker serves and answers.', type: 'gauge', label: 'worker', read: up },
    {
      name: 'worker_restarts_total',
      help: 'How often a worker was replaced.',
      type: 'counter',
      label: 'worker',
      read: restarts,
    },
  ]);
  return registry;
}

/** One family a name, as the format demands, with the values of all workers. */
function mergeFamilies(workers: readonly WorkerMetrics[]): MetricFamily[] {
  const merged = new Map<string, MetricFamily>();
  for (const { worker, families = [] } of workers) {
    for (const family of families) {
      const before = merged.get(family.name)?.values ?? [];
      const own = family.values.map((value) => ({ ...value, labels: { ...value.labels, worker } }));
      merged.set(family.name, { ...family, values: [...before, ...own] });
    }
  }
  return [...merged.values()];
}
