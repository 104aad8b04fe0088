import { cpus } from 'node:os';

export interface Measured {
  readonly messages: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of whatever the row measures: a batch, an acknowledgement, a pull; empty where nothing is waited for. */
  readonly latenciesMs: readonly number[] | { readonly p50: number; readonly p99: number };
}

export interface Row {
  readonly name: string;
  readonly messagesPerSecond: number;
  readonly cpuSecondsPerMillion: number;
  /** Messages per CPU second beside raw LMDB's in the same run. */
  readonly ratioToRaw: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function rowOf(name: string, measured: Measured, raw: Measured): Row {
  const { p50, p99 } = quantiles(measured.latenciesMs);
  const perCpuSecond = ({ messages, cpuSeconds }: Measured) => messages / cpuSeconds;
  return {
    name,
    messagesPerSecond: Math.round(measured.messages / measured.seconds),
    cpuSecondsPerMillion: round((measured.cpuSeconds / measured.messages) * 1e6),
    ratioToRaw: round(perCpuSecond(measured) / perCpuSecond(raw)),
    p50Ms: round(p50),
    p99Ms: round(p99),
  };
}

/** The machine and the method, so that the figures can be read without this source. */
export function methodOf(payloadBytes: number): Record<string, string | number> {
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    payloadBytes,
    cpuTime: 'of the server process alone, user and system; the raw row: of this process',
    durability: 'fsynced on both sides',
  };
}

export function tableOf(rows: readonly Row[]): string {
  const head = ['', 'messages/s', 'CPU s/1M', 'ratio to raw', 'p50 ms', 'p99 ms'];
  const lines = rows.map(({ name, messagesPerSecond, cpuSecondsPerMillion, ratioToRaw, p50Ms, p99Ms }) =>
    [name, messagesPerSecond, cpuSecondsPerMillion, ratioToRaw, p50Ms, p99Ms].map(String),
  );
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]!.length)));
  const show = (line: readonly string[]) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return [head, ...lines].map(show).join('\n');
}

function quantiles(latenciesMs: Measured['latenciesMs']): { p50: number; p99: number } {
  if ('p50' in latenciesMs) return latenciesMs;
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.floor(q * (sorted.length - 1))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

function round(number: number): number {
  return Number(number.toPrecision(3));
}
