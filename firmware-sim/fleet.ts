import { Backoff } from './backoff.ts';
import { Device } from './device.ts';
import { Faults } from './faults.ts';
import { FleetCounters } from './fleet-counters.ts';
import type { Ledger } from './ledger.ts';
import type { LinkOptions } from './link.ts';
import type { SimulationOptions } from './options.ts';
import { deviceIdOf, PayloadStream } from './payload.ts';
import { Random } from './random.ts';
import type { Schedule } from './schedule.ts';
import { stream } from './streams.ts';

/** Bounds of a fleet, each with the value that fits a laptop. */
const tickMs = 10; // one timer for all devices; what is due within a tick goes out together
const sweepMs = 100; // backoffs, keep-alives, faults
const connectingMax = 200; // handshakes at a time while the fleet starts
const closeMs = 5_000;
const ackTimeoutMs = 30_000;

/**
 * All simulated devices and the clock that drives them: connect everybody, then send by plan and let faults happen, then
 * wait until everything is acknowledged, then close.
 */
export class Fleet {
  readonly counters = new FleetCounters();
  readonly #options: SimulationOptions;
  readonly #schedule: Schedule;
  readonly #devices: readonly Device[];
  readonly #faults: Faults;
  readonly #now: () => number;
  #startMs = 0;
  #sweptMs = 0;
  #taken = 0; // messages of the plan that came due
  #stopped = false;

  constructor(options: SimulationOptions, parts: FleetParts) {
    this.#options = options;
    this.#schedule = parts.schedule;
    this.#now = parts.now;
    this.#faults = new Faults(options);
    this.#devices = Array.from({ length: options.devices }, (_, index) => this.#makeDevice(index, parts));
  }

  /** Messages of the plan that came due so far. */
  get taken(): number {
    return this.#taken;
  }

  get online(): number {
    return this.#devices.reduce((count, device) => count + (device.online ? 1 : 0), 0);
  }

  /** Readings that wait and messages that are not acknowledged yet. */
  get pending(): number {
    return this.#devices.reduce((count, device) => count + device.pending, 0);
  }

  /** Why a link was lost last; empty when none was. */
  get lastProblem(): string {
    return this.#devices.find((device) => device.lastProblem !== '')?.lastProblem ?? '';
  }

  /** Resolves when every device is connected. @throws FleetOffline when that takes longer than `connectMs`. */
  async connect(): Promise<void> {
    const deadlineMs = this.#now() + this.#options.connectMs;
    const waiting = [...this.#devices];
    while (this.online < this.#devices.length && !this.#stopped) {
      if (this.#now() > deadlineMs) throw this.#offline();
      const connecting = this.#devices.filter((device) => device.connecting).length;
      for (const device of waiting.splice(0, connectingMax - connecting)) device.open();
      await this.#pause(tickMs);
      this.#sweep();
    }
  }

  /**
   * Sends by plan, then waits until nothing is pending.
   * @returns false when, after the plan's end, nothing moved for `drainMs`.
   */
  async run(): Promise<boolean> {
    this.#startMs = this.#now();
    while (this.#taken < this.#schedule.total && !this.#stopped) {
      this.#takeDue();
      this.#injectFaults();
      this.#sweep();
      await this.#pause(tickMs);
    }
    return await this.#drain();
  }

  /** Ends the plan early; what was taken is still sent. */
  stop(): void {
    this.#stopped = true;
  }

  async close(): Promise<void> {
    const waiting = [...this.#devices];
    const closeInTurn = async (): Promise<void> => {
      for (let device = waiting.pop(); device !== undefined; device = waiting.pop()) await device.close(closeMs);
    };
    await Promise.all(Array.from({ length: connectingMax }, closeInTurn));
  }

  #offline(): FleetOffline {
    const { connectMs, devices } = this.#options;
    const why = this.lastProblem || 'the server did not answer';
    return new FleetOffline(`only ${this.online} of ${devices} devices could connect within ${connectMs} ms: ${why}`);
  }

  #takeDue(): void {
    const elapsedMs = this.#now() - this.#startMs;
    while (this.#taken < this.#schedule.total && this.#schedule.dueMs(this.#taken) <= elapsedMs) {
      this.#devices[this.#schedule.deviceAt(this.#taken)]!.take();
      this.#taken += 1;
    }
  }

  #injectFaults(): void {
    const elapsedMs = this.#now() - this.#startMs;
    for (const cut of this.#faults.cutsUntil(elapsedMs)) this.#devices[cut.device]!.arm(cut);
    if (this.#faults.stormUntil(elapsedMs)) for (const device of this.#devices) device.storm();
  }

  #sweep(): void {
    const nowMs = this.#now();
    if (nowMs - this.#sweptMs < sweepMs) return;
    this.#sweptMs = nowMs;
    for (const device of this.#devices) device.sweep(nowMs);
  }

  async #drain(): Promise<boolean> {
    let movedMs = this.#now();
    let finished = this.#finished();
    while (!this.#devices.every((device) => device.pending === 0)) {
      if (this.#now() - movedMs > this.#options.drainMs) return false;
      await this.#pause(tickMs);
      this.#sweep();
      if (this.#finished() === finished) continue;
      finished = this.#finished();
      movedMs = this.#now();
    }
    return true;
  }

  #finished(): number {
    return this.counters.sent + this.counters.acked;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  #makeDevice(device: number, { clientIdPrefix, schedule, ledger, now }: FleetParts): Device {
    const { seed, runId, models, epochMs, topic } = this.#options;
    const deviceId = deviceIdOf(device);
    const model = models[device % models.length]!;
    return new Device({
      ...this.#options,
      device,
      topic: topic.replaceAll('{deviceId}', deviceId).replaceAll('{model}', model),
      ackTimeoutMs,
      link: this.#linkOptions(clientIdPrefix + deviceId),
      payloads: new PayloadStream({ seed, runId, device, model, intervalMs: schedule.intervalMs, epochMs }),
      backoff: new Backoff(new Random(seed, stream.backoff, device)),
      counters: this.counters,
      ledger,
      now,
      startMs: () => this.#startMs,
    });
  }

  #linkOptions(clientId: string): LinkOptions {
    return {
      ...this.#options.url,
      protocolVersion: this.#options.mqttVersion,
      clientId,
      keepAliveS: 30,
      sessionExpiryS: 3600,
      connectTimeoutMs: 10_000,
      now: this.#now,
    };
  }
}

export interface FleetParts {
  readonly schedule: Schedule;
  readonly ledger: Ledger | undefined;
  /** Before the device id; it is new for every run, so that no session of an earlier one is met. */
  readonly clientIdPrefix: string;
  readonly now: () => number;
}

/** The fleet could not be connected: nothing was sent. */
export class FleetOffline extends Error {}
