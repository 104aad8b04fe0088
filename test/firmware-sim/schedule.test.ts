import { describe, expect, it } from 'vitest';
import { Faults } from '../../firmware-sim/faults.ts';
import { makeSchedule } from '../../firmware-sim/schedule.ts';

describe('schedule', () => {
  it('schedule - every device gets rate × duration messages, at one interval, in the order of their due times', () => {
    const schedule = makeSchedule({ seed: 1, devices: 7, ratePerS: 20, durationMs: 1000 });
    expect(schedule.total).toBe(140);
    const dueOf = new Map<number, number[]>();
    let last = 0;
    for (let k = 0; k < schedule.total; k += 1) {
      expect(schedule.dueMs(k)).toBeGreaterThanOrEqual(last);
      last = schedule.dueMs(k);
      dueOf.set(schedule.deviceAt(k), [...(dueOf.get(schedule.deviceAt(k)) ?? []), last]);
    }
    expect(last).toBeLessThan(1000);
    expect([...dueOf.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const due of dueOf.values()) {
      expect(due.length).toBe(20);
      for (const [n, ms] of due.entries()) expect(ms).toBeCloseTo(due[0]! + n * 50, 6);
    }
  });

  it('schedule - a device that sends less than once in the whole run still sends once', () => {
    expect(makeSchedule({ seed: 1, devices: 3, ratePerS: 0.01, durationMs: 1000 }).total).toBe(3);
  });
});

describe('faults', () => {
  const options = { seed: 1, devices: 50, qos: 2, flaky: 0.1, offlineForMs: 500, stormEveryMs: 2000 } as const;

  it('faults - the seed settles which device is cut where and for how long', () => {
    const cuts = (seed: number) => new Faults({ ...options, seed }).cutsUntil(10_000);
    expect(cuts(1)).toEqual(cuts(1));
    expect(cuts(2)).not.toEqual(cuts(1));
  });

  it('faults - cuts are as frequent as asked for and reach every point of a QoS 2 exchange', () => {
    const faults = new Faults(options);
    const cuts = Array.from({ length: 1000 }, (_, step) => faults.cutsUntil(step * 100)).flat();
    expect(cuts.length).toBeGreaterThan(400); // 50 devices × 100 s × 0.1
    expect(cuts.length).toBeLessThan(600);
    expect(new Set(cuts.map(({ point }) => point))).toEqual(new Set(['publish', 'pubrec', 'pubrel']));
    const meanMs = cuts.reduce((sum, { offlineMs }) => sum + offlineMs, 0) / cuts.length;
    expect(Math.abs(meanMs - 500)).toBeLessThan(75);
  });

  it('faults - below QoS 2 there is only the PUBLISH to cut after', () => {
    const cuts = new Faults({ ...options, qos: 1 }).cutsUntil(100_000);
    expect(new Set(cuts.map(({ point }) => point))).toEqual(new Set(['publish']));
  });

  it('faults - a storm comes once per period, and never when not asked for', () => {
    const storms = (faults: Faults) =>
      Array.from({ length: 100 }, (_, step) => faults.stormUntil(step * 100)).filter(Boolean).length;
    expect(storms(new Faults(options))).toBe(4); // at 2, 4, 6 and 8 s
    expect(storms(new Faults({ ...options, stormEveryMs: 0 }))).toBe(0);
  });
});
