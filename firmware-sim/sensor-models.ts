import type { Random } from './random.ts';

/** What a sensor reports: JSON field name → number. Units are part of the names. */
export type Reading = Readonly<Record<string, number>>;

/**
 * A simulated sensor. It is read once per message, in order, and draws only from the `Random` it was made with, so its
 * n-th reading is settled by the seed, the device and the reading times.
 */
export interface Sensor {
  /** @param elapsedMs planned time since the start of the run; never decreases. */
  read(elapsedMs: number): Reading;
}

/** By the name that `--models` and the payload's `model` use. */
export const sensorModels = {
  sine: sineSensor,
  walk: walkSensor,
  step: stepSensor,
  gps: gpsSensor,
} as const satisfies Record<string, (random: Random) => Sensor>;

export type ModelName = keyof typeof sensorModels;

export const modelNames = Object.keys(sensorModels) as ModelName[];

/** A daily curve in fast motion, such as a room temperature: a sine with noise on it. */
function sineSensor(random: Random): Sensor {
  const mean = random.between(15, 25);
  const amplitude = random.between(2, 8);
  const periodMs = random.between(20_000, 120_000);
  const phase = random.fraction();
  return {
    read(elapsedMs) {
      const angle = 2 * Math.PI * (elapsedMs / periodMs + phase);
      return { value: rounded(mean + amplitude * Math.sin(angle) + 0.2 * random.noise(), 3) };
    },
  };
}

/** A drifting level between 0 and 100, such as a tank: each reading moves a little from the last and turns at the ends. */
function walkSensor(random: Random): Sensor {
  let level = random.between(20, 80);
  return {
    read() {
      level += 0.5 * random.noise();
      if (level < 0) level = -level;
      if (level > 100) level = 200 - level;
      return { value: rounded(level, 3) };
    },
  };
}

/** A switched load: it stays exactly where it is for some readings, then jumps to another of eight levels. */
function stepSensor(random: Random): Sensor {
  let level = random.below(8);
  let readingsLeft = 1 + random.below(30);
  return {
    read() {
      if (readingsLeft === 0) {
        level = (level + 1 + random.below(7)) % 8; // never the same level again
        readingsLeft = 1 + random.below(30);
      }
      readingsLeft -= 1;
      return { value: level * 12.5 };
    },
  };
}

const metresPerDegree = 111_320; // of latitude; close enough for a route of a few kilometres

/** A vehicle on a closed route of straight legs around its depot, at a steady speed. */
function gpsSensor(random: Random): Sensor {
  const depot = { lat: random.between(-60, 60), lon: random.between(-179, 179) };
  const speedMps = random.between(5, 30);
  const legs = makeLegs(random);
  const routeM = legs.reduce((sum, leg) => sum + leg.lengthM, 0);
  const lonMetresPerDegree = metresPerDegree * Math.cos((depot.lat * Math.PI) / 180);
  return {
    read(elapsedMs) {
      const { leg, alongM } = locate(legs, ((speedMps * elapsedMs) / 1000) % routeM);
      const eastM = leg.fromEastM + (leg.eastM * alongM) / leg.lengthM;
      const northM = leg.fromNorthM + (leg.northM * alongM) / leg.lengthM;
      return {
        lat: rounded(depot.lat + northM / metresPerDegree, 6),
        lon: rounded(depot.lon + eastM / lonMetresPerDegree, 6),
        speedMps: rounded(speedMps, 2),
        headingDeg: leg.headingDeg,
      };
    },
  };
}

/** One straight part of a route, in metres east and north of the depot. */
interface Leg {
  readonly fromEastM: number;
  readonly fromNorthM: number;
  readonly eastM: number;
  readonly northM: number;
  readonly lengthM: number;
  readonly headingDeg: number; // 0 = north, clockwise
}

/** Six waypoints at seeded distances, one in each sixth of the circle, so that no leg has length 0. */
function makeLegs(random: Random): Leg[] {
  const corners = Array.from({ length: 6 }, (_, sixth) => {
    const angle = ((sixth + random.between(0.1, 0.9)) * Math.PI) / 3;
    const distanceM = random.between(200, 3000);
    return { eastM: distanceM * Math.cos(angle), northM: distanceM * Math.sin(angle) };
  });
  return corners.map((from, index) => {
    const to = corners[(index + 1) % corners.length]!;
    const eastM = to.eastM - from.eastM;
    const northM = to.northM - from.northM;
    const headingDeg = rounded(((Math.atan2(eastM, northM) * 180) / Math.PI + 360) % 360, 1);
    return {
      fromEastM: from.eastM,
      fromNorthM: from.northM,
      eastM,
      northM,
      lengthM: Math.hypot(eastM, northM),
      headingDeg,
    };
  });
}

function locate(legs: readonly Leg[], distanceM: number): { readonly leg: Leg; readonly alongM: number } {
  let alongM = distanceM;
  for (const leg of legs) {
    if (alongM < leg.lengthM) return { leg, alongM };
    alongM -= leg.lengthM;
  }
  return { leg: legs[0]!, alongM: 0 }; // the last rounding error of a full round
}

function rounded(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
