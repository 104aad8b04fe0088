import { Random } from './random.ts';
import { phaseMs } from './schedule.ts';
import { type ModelName, type Sensor, sensorModels } from './sensor-models.ts';
import { stream } from './streams.ts';

/** What the payloads of one device are made from. The same plan gives the same bytes, whenever and wherever it is run. */
export interface PayloadPlan {
  readonly seed: number;
  readonly runId: string;
  readonly device: number; // index, from 0
  readonly model: ModelName;
  readonly intervalMs: number;
  /** What `t` counts from: fixed by default (so that streams can be compared), the real start with `--wall-clock`. */
  readonly epochMs: number;
}

export interface Payload {
  readonly seq: number; // 1, 2, 3, …
  /** Planned send time, ms after the start. */
  readonly dueMs: number;
  readonly bytes: Buffer;
}

/**
 * The messages of one device, one after the other. A payload is JSON in one fixed field order:
 * `{"run":"seed-1","device":"sim-00001","seq":1,"t":1767225600042,"model":"sine","value":19.874}`
 * where `t` is the *planned* send time in Unix ms. Real time never enters it.
 */
export class PayloadStream {
  readonly #plan: PayloadPlan;
  readonly #deviceId: string;
  readonly #sensor: Sensor;
  readonly #phaseMs: number;
  #seq = 0;

  constructor(plan: PayloadPlan) {
    this.#plan = plan;
    this.#deviceId = deviceIdOf(plan.device);
    this.#sensor = sensorModels[plan.model](new Random(plan.seed, stream.sensor, plan.device));
    this.#phaseMs = phaseMs(plan.seed, plan.device, plan.intervalMs);
  }

  next(): Payload {
    const { runId, model, intervalMs, epochMs } = this.#plan;
    const dueMs = this.#phaseMs + this.#seq * intervalMs;
    this.#seq += 1;
    const head = { run: runId, device: this.#deviceId, seq: this.#seq, t: epochMs + Math.floor(dueMs), model };
    const json = JSON.stringify({ ...head, ...this.#sensor.read(dueMs) });
    return { seq: this.#seq, dueMs, bytes: Buffer.from(json) };
  }
}

/** `sim-00001` for device 0: the same whatever the size of the fleet. */
export function deviceIdOf(device: number): string {
  return `sim-${String(device + 1).padStart(5, '0')}`;
}

/** What the proof needs of a payload. */
export interface PayloadHead {
  readonly runId: string;
  readonly device: number;
  readonly seq: number;
}

/** @returns undefined when the bytes are no payload of a simulated device. */
export function readPayload(bytes: Buffer): PayloadHead | undefined {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { run, device, seq } = json as Record<string, unknown>;
  const digits = typeof device === 'string' ? /^sim-(\d{5,})$/.exec(device)?.[1] : undefined;
  if (typeof run !== 'string' || digits === undefined || !Number.isSafeInteger(seq)) return undefined;
  return { runId: run, device: Number(digits) - 1, seq: seq as number };
}
