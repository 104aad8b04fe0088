import { Fleet } from './fleet.ts';
import { Ledger } from './ledger.ts';
import type { SimulationOptions } from './options.ts';
import { makeSchedule } from './schedule.ts';
import { type Summary, summarize, type VerifiedResult } from './summary.ts';
import { Verifier } from './verifier.ts';

/** How far a run is, for whoever watches. */
export interface Progress {
  readonly phase: string;
  readonly taken: number;
  readonly online: number;
  readonly acked: number;
  readonly received: number;
  readonly reconnects: number;
}

export interface SimulationParts {
  /** New for every run; see `Simulation`. */
  readonly nonce: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/**
 * One run: subscribe, connect, send by plan, wait for acknowledgements, leave, wait for the reading back, judge.
 *
 * Two names tell runs apart. The *run id* is in every payload and, like the whole payload, the same when a run is repeated.
 * The *nonce* is new each time; it is in the client ids (a session left by an earlier run would take new packet ids for
 * repetitions of its own) and in the subscription's name.
 */
export class Simulation {
  readonly planned: number;
  readonly #options: SimulationOptions;
  readonly #now: () => number;
  readonly #ledger: Ledger | undefined;
  readonly #fleet: Fleet;
  readonly #verifier: Verifier | undefined;
  #phase = 'starting';

  constructor(options: SimulationOptions, { nonce, now }: SimulationParts) {
    const schedule = makeSchedule(options);
    const clientIdPrefix = `${options.runId}-${nonce}-`;
    this.planned = schedule.total;
    this.#options = options;
    this.#now = now;
    if (options.verify !== undefined) {
      this.#ledger = new Ledger({ devices: options.devices, messagesPerDevice: schedule.messagesPerDevice });
      this.#verifier = makeVerifier(options, options.verify, this.#ledger, { nonce, now }, clientIdPrefix);
    }
    this.#fleet = new Fleet(options, { schedule, ledger: this.#ledger, clientIdPrefix, now });
  }

  progress(): Progress {
    const { acked, reconnects } = this.#fleet.counters;
    const { taken, online } = this.#fleet;
    return { phase: this.#phase, taken, online, acked, reconnects, received: this.#ledger?.received ?? 0 };
  }

  /** Ends the sending early; what was sent is still acknowledged, read back and judged. */
  stop(): void {
    this.#fleet.stop();
  }

  /** @throws FleetOffline, RestError: the server could not be reached, nothing was sent. */
  async run(): Promise<Summary> {
    await this.#verifier?.create(this.#options.connectMs);
    try {
      this.#phase = 'connecting';
      await this.#fleet.connect();
    } catch (error) {
      await this.#fleet.close(); // those that did connect
      await this.#verifier?.delete();
      throw error;
    }
    return await this.#measure();
  }

  async #measure(): Promise<Summary> {
    const fleet = this.#fleet;
    const startMs = this.#now();
    const cpu = process.cpuUsage();
    this.#phase = 'sending';
    this.#verifier?.start();
    const drained = await fleet.run();
    const elapsedMs = this.#now() - startMs;
    const { pending, lastProblem } = fleet;
    this.#phase = 'leaving';
    await fleet.close();
    this.#phase = 'reading back';
    const verified = await this.#verify();
    const { user, system } = process.cpuUsage(cpu);
    const cpuMs = (user + system) / 1000;
    const { counters } = fleet;
    return summarize({
      options: this.#options,
      planned: this.planned,
      counters,
      drained,
      pending,
      lastProblem,
      elapsedMs,
      cpuMs,
      verified,
    });
  }

  async #verify(): Promise<VerifiedResult | undefined> {
    if (this.#verifier === undefined || this.#ledger === undefined) return undefined;
    await this.#verifier.finish(this.#options.drainMs);
    const leftBehind = await this.#verifier.delete();
    const { failure, foreign, requestFailures } = this.#verifier;
    return {
      verdict: this.#ledger.verdict(),
      received: this.#ledger.received,
      foreign,
      requestFailures,
      failure,
      leftBehind,
    };
  }
}

function makeVerifier(
  options: SimulationOptions,
  baseUrl: string,
  ledger: Ledger,
  parts: SimulationParts,
  clientIdPrefix: string,
): Verifier {
  const { project, pubsubTopic, runId, seed } = options;
  const subscription = `projects/${project}/subscriptions/sim-${runId}-${parts.nonce}`;
  const topic = `projects/${project}/topics/${pubsubTopic}`;
  return new Verifier({ baseUrl, subscription, topic, runId, clientIdPrefix, seed, now: parts.now }, ledger);
}
