import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';

/** A number, or numbers by the value of one label whose values are a closed set. */
export type Reading = number | Readonly<Record<string, number>> | ReadonlyMap<string, number>;

export interface MetricDefinition {
  /** Without the `headwater_` prefix; counters end in `_total`, units come last (Prometheus naming). */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  /** Name of the label when readings come by label. */
  readonly label?: string;
  readonly read: () => Reading | Promise<Reading>;
}

/** What /metrics shows: a registry, or what stands for several. */
export interface Exposition {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/** A registry with the process's own metrics (memory, CPU, event-loop delay). */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/**
 * Shows counters that live beside the nouns that they count: they are plain numbers there, read when /metrics is asked
 * for, so that counting costs an addition and nothing below telemetry knows of Prometheus.
 */
export function exposeMetrics(registry: Registry, definitions: readonly MetricDefinition[]): void {
  for (const { name, help, type, label, read } of definitions) {
    const metric = {
      name: `headwater_${name}`,
      get: async () => {
        const values = valuesOf(await read(), label);
        return { name: `headwater_${name}`, help, type, values, aggregator: 'sum' };
      },
      reset: () => undefined,
    };
    // prom-client's own classes keep their values; the registry only ever calls `get`.
    registry.registerMetric(metric as unknown as Metric);
  }
}

function valuesOf(reading: Reading, label = 'kind'): { value: number; labels: Record<string, string> }[] {
  if (typeof reading === 'number') return [{ value: reading, labels: {} }];
  const entries = reading instanceof Map ? [...reading] : Object.entries(reading);
  return entries.map(([key, value]) => ({ value, labels: { [label]: key } }));
}
