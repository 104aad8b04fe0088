import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RestartDelay, restartBounds } from '../../src/workers/restart-delay.ts';

const { firstMs, maxMs, soundMs } = restartBounds;
const minuteMs = 60_000;

describe('workers - how soon a dead worker is replaced', () => {
  it('workers - the delay doubles with every death, up to a bound', () => {
    const delay = new RestartDelay(() => 0);
    const delays = Array.from({ length: 12 }, () => delay.afterDeathMs(0));
    expect(delays.slice(0, 4)).toEqual([firstMs, firstMs * 2, firstMs * 4, firstMs * 8]);
    expect(delays.at(-1)).toBe(maxMs);
  });

  it('workers - a worker that had been sound is replaced as soon as the first time', () => {
    const delay = new RestartDelay(() => 0);
    for (let deaths = 0; deaths < 5; deaths++) delay.afterDeathMs(soundMs - 1);
    expect(delay.afterDeathMs(soundMs)).toBe(firstMs);
  });

  it('workers - those that died together come back apart: chance takes up to half of the delay', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (chance) => {
        const delayMs = new RestartDelay(() => chance).afterDeathMs(0);
        expect(delayMs).toBeLessThanOrEqual(firstMs);
        expect(delayMs).toBeGreaterThanOrEqual(firstMs / 2);
      }),
    );
  });

  it('workers - however a worker dies, it is started at most 13 times in any minute', () => {
    const servedMs = fc.oneof(fc.constant(0), fc.nat({ max: 2 * soundMs }));
    fc.assert(
      fc.property(fc.array(servedMs, { minLength: 1, maxLength: 60 }), (lives) => {
        const delay = new RestartDelay(() => 1);
        const startsMs = [0];
        for (const life of lives) startsMs.push(startsMs.at(-1)! + life + delay.afterDeathMs(life));
        for (const [i, fromMs] of startsMs.entries()) {
          expect(startsMs.slice(i).filter((startMs) => startMs < fromMs + minuteMs).length).toBeLessThanOrEqual(13);
        }
      }),
    );
  });
});
