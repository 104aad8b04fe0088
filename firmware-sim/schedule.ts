import { Random } from './random.ts';
import { stream } from './streams.ts';

/**
 * When which device sends: an open-loop plan, settled before the run by (seed, devices, rate, duration). A slow server
 * does not slow it down; it only makes messages late.
 *
 * Every device sends at the same interval from its own phase within the first interval, so the fleet's order repeats:
 * sorted by phase once, message k of the fleet belongs to device `k mod devices`. No queue of timers is needed.
 */
export interface Schedule {
  readonly intervalMs: number;
  readonly messagesPerDevice: number;
  /** devices × messagesPerDevice */
  readonly total: number;
  /** Device of the fleet's k-th message, k from 0. */
  deviceAt(k: number): number;
  /** When the fleet's k-th message is due, in ms after the start; never decreases with k. */
  dueMs(k: number): number;
}

export function makeSchedule(plan: {
  readonly seed: number;
  readonly devices: number;
  readonly ratePerS: number; // per device
  readonly durationMs: number;
}): Schedule {
  const intervalMs = 1000 / plan.ratePerS;
  const messagesPerDevice = Math.max(1, Math.floor(plan.durationMs / intervalMs));
  const phases = Float64Array.from({ length: plan.devices }, (_, device) => phaseMs(plan.seed, device, intervalMs));
  const order = Uint32Array.from(phases.keys()).sort((a, b) => phases[a]! - phases[b]!);
  const deviceAt = (k: number): number => order[k % plan.devices]!;
  return {
    intervalMs,
    messagesPerDevice,
    total: plan.devices * messagesPerDevice,
    deviceAt,
    dueMs: (k) => phases[deviceAt(k)]! + Math.floor(k / plan.devices) * intervalMs,
  };
}

/** When a device sends its first message, in ms after the start: somewhere in the first interval. */
export function phaseMs(seed: number, device: number, intervalMs: number): number {
  return new Random(seed, stream.phase, device).fraction() * intervalMs;
}
