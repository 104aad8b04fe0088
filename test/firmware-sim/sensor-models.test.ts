import { describe, expect, it } from 'vitest';
import { Random } from '../../firmware-sim/random.ts';
import { type ModelName, modelNames, type Reading, sensorModels } from '../../firmware-sim/sensor-models.ts';

const count = 2000;

/** Readings of one device, one a second. */
function readings(model: ModelName, seed: number): Reading[] {
  const sensor = sensorModels[model](new Random(seed));
  return Array.from({ length: count }, (_, second) => sensor.read(second * 1000));
}

function values(model: ModelName, seed: number): number[] {
  return readings(model, seed).map(({ value }) => value!);
}

const seeds = [1, 2, 3, 4, 5];

describe('sensor models', () => {
  it.each(modelNames)('sensor models - %s reports finite numbers that differ from seed to seed', (model) => {
    const numbers = readings(model, 1).flatMap((reading) => Object.values(reading));
    expect(numbers.every(Number.isFinite)).toBe(true);
    expect(readings(model, 2)).not.toEqual(readings(model, 1));
  });

  it.each(seeds)('sensor models - sine swings around its mean within amplitude and noise, seed %i', (seed) => {
    const all = values('sine', seed);
    const mean = all.reduce((sum, value) => sum + value, 0) / count;
    expect(mean).toBeGreaterThan(14);
    expect(mean).toBeLessThan(26);
    const swing = Math.max(...all) - Math.min(...all);
    expect(swing).toBeGreaterThan(4); // twice the least amplitude
    expect(swing).toBeLessThan(2 * (8 + 0.2 * 3.5));
  });

  it.each(seeds)('sensor models - walk moves in small steps and stays within 0..100, seed %i', (seed) => {
    const all = values('walk', seed);
    const steps = all.slice(1).map((value, index) => Math.abs(value - all[index]!));
    expect(Math.max(...steps)).toBeLessThan(2);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...all)).toBeLessThanOrEqual(100);
    expect(new Set(all).size).toBeGreaterThan(count / 4);
  });

  it.each(seeds)('sensor models - step holds each of eight levels for 1 to 30 readings, seed %i', (seed) => {
    const all = values('step', seed);
    expect(new Set(all)).toEqual(new Set([0, 12.5, 25, 37.5, 50, 62.5, 75, 87.5]));
    expect(Math.max(...holds(all))).toBeLessThanOrEqual(30);
    expect(holds(all).length).toBeGreaterThan(count / 30);
  });

  it.each(seeds)('sensor models - gps travels at its own speed along a closed route, seed %i', (seed) => {
    const all = readings('gps', seed);
    const metres = all.slice(1).map((to, index) => distanceM(all[index]!, to));
    const speed = all[0]!.speedMps!;
    expect(Math.max(...metres)).toBeLessThan(speed + 0.3);
    // Only a corner between two readings makes the straight line shorter than the way.
    expect(metres.filter((metre) => Math.abs(metre - speed) < 0.3).length).toBeGreaterThan(count * 0.9);
    expect(Math.max(...all.map((reading) => distanceM(all[0]!, reading)))).toBeLessThan(6100);
  });
});

function holds(levels: readonly number[]): number[] {
  const lengths: number[] = [];
  for (const [index, level] of levels.entries()) {
    if (level === levels[index - 1]) lengths[lengths.length - 1]! += 1;
    else lengths.push(1);
  }
  return lengths;
}

function distanceM(a: Reading, b: Reading): number {
  const northM = (b.lat! - a.lat!) * 111_320;
  const eastM = (b.lon! - a.lon!) * 111_320 * Math.cos((a.lat! * Math.PI) / 180);
  return Math.hypot(northM, eastM);
}
