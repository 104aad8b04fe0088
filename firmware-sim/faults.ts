import { Random } from './random.ts';
import { stream } from './streams.ts';

/**
 * Where in a conversation a link is cut, chosen to leave as much doubt as possible: right after a PUBLISH went out (the
 * server may store it, its acknowledgement gets lost), when a PUBREC came in and before its PUBREL leaves, or right after
 * the PUBREL.
 */
export type CutPoint = 'publish' | 'pubrec' | 'pubrel';

export interface Cut {
  readonly device: number;
  readonly point: CutPoint;
  /** How long the device stays away. */
  readonly offlineMs: number;
}

export interface FaultOptions {
  readonly seed: number;
  readonly devices: number;
  readonly qos: 0 | 1 | 2;
  /** Chance per second, 0..1, that a device's link is cut. */
  readonly flaky: number;
  /** Mean time that a device stays away after a cut. */
  readonly offlineForMs: number;
  /** Every link is cut at the same instant, this often; 0 = never. */
  readonly stormEveryMs: number;
}

/** What goes wrong when, settled by the seed: each device's cuts come at random (exponential) gaps, storms on the dot. */
export class Faults {
  readonly #options: FaultOptions;
  readonly #randoms: readonly Random[];
  readonly #nextCutMs: Float64Array;
  #nextStormMs: number;

  constructor(options: FaultOptions) {
    this.#options = options;
    const flaky = options.flaky > 0 ? options.devices : 0;
    this.#randoms = Array.from({ length: flaky }, (_, device) => new Random(options.seed, stream.fault, device));
    this.#nextCutMs = Float64Array.from(this.#randoms, (random) => this.#gapMs(random));
    this.#nextStormMs = options.stormEveryMs || Number.POSITIVE_INFINITY;
  }

  /** The cuts up to now that were not handed out yet: at most one per device and call. */
  cutsUntil(elapsedMs: number): Cut[] {
    const cuts: Cut[] = [];
    for (const [device, random] of this.#randoms.entries()) {
      if (this.#nextCutMs[device]! > elapsedMs) continue;
      this.#nextCutMs[device]! += this.#gapMs(random);
      cuts.push({ device, point: this.#pointOf(random), offlineMs: random.between(0, 2 * this.#options.offlineForMs) });
    }
    return cuts;
  }

  /** True once for each storm whose time has come. */
  stormUntil(elapsedMs: number): boolean {
    if (this.#nextStormMs > elapsedMs) return false;
    this.#nextStormMs += this.#options.stormEveryMs;
    return true;
  }

  #gapMs(random: Random): number {
    return (-Math.log(1 - random.fraction()) / this.#options.flaky) * 1000;
  }

  #pointOf(random: Random): CutPoint {
    const points: readonly CutPoint[] = this.#options.qos === 2 ? ['publish', 'pubrec', 'pubrel'] : ['publish'];
    return points[random.below(points.length)]!;
  }
}
