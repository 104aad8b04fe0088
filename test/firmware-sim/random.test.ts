import { describe, expect, it } from 'vitest';
import { Histogram } from '../../firmware-sim/histogram.ts';
import { Random } from '../../firmware-sim/random.ts';

function draw(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.uint32());
}

describe('random', () => {
  it('random - a seed and a stream settle the sequence; changing either changes it', () => {
    const first = draw(new Random(7, 1, 2), 50);
    expect(draw(new Random(7, 1, 2), 50)).toEqual(first);
    for (const other of [
      new Random(8, 1, 2),
      new Random(7, 2, 2),
      new Random(7, 1, 3),
      new Random(7, 1),
      new Random(7 + 2 ** 32, 1, 2),
    ]) {
      expect(draw(other, 50)).not.toEqual(first);
    }
  });

  it('random - every bit is set in about half of the draws', () => {
    const drawn = draw(new Random(1), 20_000);
    for (let bit = 0; bit < 32; bit += 1) {
      const set = drawn.filter((word) => ((word >>> bit) & 1) === 1).length / drawn.length;
      expect(set).toBeGreaterThan(0.48);
      expect(set).toBeLessThan(0.52);
    }
  });

  it('random - noise has mean 0 and variance 1', () => {
    const random = new Random(1);
    const drawn = Array.from({ length: 20_000 }, () => random.noise());
    const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
    const variance = drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });
});

describe('histogram', () => {
  it('histogram - a quantile is at most 9 % above the true one and never above the maximum', () => {
    const histogram = new Histogram();
    for (let ms = 1; ms <= 1000; ms += 1) histogram.record(ms);
    for (const [share, exactMs] of [
      [0.5, 500],
      [0.9, 900],
      [0.99, 990],
    ] as const) {
      expect(histogram.quantileMs(share)).toBeGreaterThanOrEqual(exactMs);
      expect(histogram.quantileMs(share)).toBeLessThan(exactMs * 1.0906);
    }
    expect(histogram.quantileMs(1)).toBe(1000);
    expect(histogram.maxMs).toBe(1000);
  });

  it('histogram - without a record every quantile is 0', () => {
    expect(new Histogram().quantileMs(0.5)).toBe(0);
  });
});
