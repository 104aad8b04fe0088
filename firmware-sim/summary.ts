import type { FleetCounters } from './fleet-counters.ts';
import type { SimulationOptions } from './options.ts';
import { deviceIdOf } from './payload.ts';
import type { Verdict } from './verdict.ts';

/** What a run did, as `--json` prints it. Times are in ms, rates per second. */
export interface Summary {
  readonly ok: boolean;
  /** One sentence for each reason why `ok` is false. */
  readonly problems: readonly string[];
  /** What is worth knowing but fails nothing. */
  readonly notes: readonly string[];
  readonly runId: string;
  readonly seed: number;
  readonly qos: 0 | 1 | 2;
  readonly mqttVersion: 4 | 5;
  readonly devices: number;
  readonly planned: number;
  readonly sent: number;
  readonly acked: number;
  readonly resent: number;
  /** Taken by a device, but neither sent nor finished in the end. */
  readonly pending: number;
  readonly bufferDrops: number;
  readonly abandoned: number;
  readonly refused: number;
  readonly acksUnexpected: number;
  readonly reconnects: number;
  readonly dropsInjected: number;
  readonly sessionsLost: number;
  readonly elapsedMs: number;
  readonly sentPerS: number;
  readonly ackedPerS: number;
  readonly ackLatencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly lagMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** CPU time of the simulator itself. */
  readonly cpuMs: number;
  /** Only with `--verify`. */
  readonly proof: Proof | undefined;
}

interface Proof extends Omit<Verdict, 'worst'> {
  readonly received: number;
  readonly foreign: number;
  readonly requestFailures: number;
  readonly worst: readonly {
    readonly deviceId: string;
    readonly lost: number;
    readonly duplicates: number;
    readonly outOfOrder: number;
    readonly missing: readonly number[];
  }[];
}

export interface RunResult {
  readonly options: SimulationOptions;
  readonly planned: number;
  readonly counters: FleetCounters;
  /** False when the devices gave up waiting for acknowledgements. */
  readonly drained: boolean;
  readonly pending: number;
  readonly lastProblem: string;
  readonly elapsedMs: number;
  readonly cpuMs: number;
  readonly verified: VerifiedResult | undefined;
}

export interface VerifiedResult {
  readonly verdict: Verdict;
  readonly received: number;
  readonly foreign: number;
  readonly requestFailures: number;
  readonly failure: string | undefined;
  readonly leftBehind: string | undefined;
}

export function summarize(result: RunResult): Summary {
  const { options, counters, elapsedMs, verified } = result;
  const problems = [...fleetProblems(result), ...(verified ? proofProblems(verified, options.qos) : [])];
  const perS = (count: number): number => round((count * 1000) / Math.max(1, elapsedMs));
  const { ackLatency, lag, ...counts } = counters;
  const quantiles = (times: typeof lag) => ({
    p50: round(times.quantileMs(0.5)),
    p99: round(times.quantileMs(0.99)),
    max: round(times.maxMs),
  });
  return {
    ok: problems.length === 0,
    problems,
    notes: notesOf(result),
    runId: options.runId,
    seed: options.seed,
    qos: options.qos,
    mqttVersion: options.mqttVersion,
    devices: options.devices,
    planned: result.planned,
    ...counts,
    pending: result.pending,
    elapsedMs: Math.round(elapsedMs),
    sentPerS: perS(counters.sent),
    ackedPerS: perS(counters.acked),
    ackLatencyMs: quantiles(ackLatency),
    lagMs: quantiles(lag),
    cpuMs: Math.round(result.cpuMs),
    proof: verified ? proofOf(verified, problems.length > 0) : undefined,
  };
}

/** @param failed devices are named only then: duplicates at QoS 1, say, are nobody's fault. */
function proofOf({ verdict, received, foreign, requestFailures }: VerifiedResult, failed: boolean): Proof {
  const named = failed ? verdict.worst : [];
  const worst = named.map(({ device, ...fault }) => ({ deviceId: deviceIdOf(device), ...fault }));
  return { received, ...verdict, foreign, requestFailures, worst };
}

function fleetProblems({ counters, drained, pending, lastProblem }: RunResult): string[] {
  const because = lastProblem === '' ? '' : ` (the last problem was: ${lastProblem})`;
  return [
    ...(drained ? [] : [`${pending} messages were not acknowledged, and nothing moved any more${because}`]),
    ...(counters.refused === 0 ? [] : [`${counters.refused} messages were refused by the server${because}`]),
  ];
}

function proofProblems({ verdict, failure }: VerifiedResult, qos: 0 | 1 | 2): string[] {
  const duplicatesAllowed = qos === 1;
  const found: [count: number, what: string][] = [
    [
      verdict.lost,
      qos === 0 ? 'messages were lost on connections that never broke' : 'acknowledged messages were lost',
    ],
    [duplicatesAllowed ? 0 : verdict.duplicates, `messages were stored twice, which QoS ${qos} forbids`],
    [verdict.outOfOrder, 'messages came after a later one of their device'],
    [verdict.redeliveredAfterAck, 'messages were delivered again although their acknowledgement had been confirmed'],
    [verdict.corrupted, 'messages came with other bytes than were sent'],
    [verdict.unexpected, 'messages came that were never sent'],
  ];
  const problems = found.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return failure === undefined ? problems : [...problems, `the reading back ended early: ${failure}`];
}

function notesOf({ counters, verified, options }: RunResult): string[] {
  const { abandoned, sessionsLost, bufferDrops } = counters;
  const notes: string[] = [];
  if (sessionsLost > 0)
    notes.push(`the server had forgotten the session of a device with unfinished messages ${sessionsLost} times`);
  if (abandoned > 0) notes.push(`${abandoned} QoS 2 messages were given up with those sessions, their outcome unknown`);
  if (bufferDrops > 0)
    notes.push(`${bufferDrops} readings found no room in the offline buffers (${options.offlineBufferMax} each)`);
  if (verified?.leftBehind !== undefined) notes.push(verified.leftBehind);
  return notes;
}

/** The summary for people. */
export function describe(summary: Summary): string {
  const { proof, ackLatencyMs: ack, lagMs: lag } = summary;
  const lines = [
    `${summary.devices} devices, QoS ${summary.qos}: ${summary.sent} of ${summary.planned} messages sent (${summary.sentPerS}/s), ${summary.acked} acknowledged`,
    `acknowledged after p50 ${ack.p50} ms, p99 ${ack.p99} ms; sent late by p50 ${lag.p50} ms, p99 ${lag.p99} ms`,
    `${summary.reconnects} reconnects, ${summary.dropsInjected} cuts injected, ${summary.resent} packets repeated, ${summary.bufferDrops} readings dropped`,
  ];
  if (proof !== undefined) {
    lines.push(
      `read back ${proof.received}: ${proof.lost} lost, ${proof.outOfOrder} out of order, ${proof.duplicates} stored twice, ${proof.redelivered} redelivered (${proof.redeliveredAfterAck} after a confirmed ack)`,
    );
    for (const device of proof.worst) {
      const missing = device.missing.length > 0 ? `; missing first: ${device.missing.join(', ')}` : '';
      lines.push(
        `  ${device.deviceId}: ${device.lost} lost, ${device.outOfOrder} out of order, ${device.duplicates} stored twice${missing}`,
      );
    }
  }
  const verdict = summary.ok ? (proof ? 'PROVED: nothing acknowledged was lost' : 'DONE') : 'FAILED';
  return [
    ...lines,
    ...summary.notes.map((note) => `note: ${note}`),
    verdict,
    ...summary.problems.map((problem) => `  ${problem}`),
  ].join('\n');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
