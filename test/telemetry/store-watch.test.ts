import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { type StoreState, StoreWatch } from '../../src/telemetry/store-watch.ts';

const good: StoreState = { writable: true, level: 'fsynced', durability: 'fsynced: on disk' };
const delayed: StoreState = { writable: true, level: 'delayed', durability: 'up to about 2 s may be lost' };
const full: StoreState = { ...good, writable: false, problem: 'The disk is full; make room.' };

const silent = new Promise<never>(() => {});
const warn = 40;
const error = 50;
const info = 30;

interface Line {
  readonly level: number;
  readonly msg: string;
}

let watch: StoreWatch;

/** What the store answers, one after the other; the last one from then on. */
function watching(
  answers: readonly (StoreState | Promise<StoreState>)[],
  options: { answerMsMax?: number; everyMs?: number } = {},
) {
  const out = new PassThrough();
  const lines: Line[] = [];
  out.on('data', (chunk: Buffer) => lines.push(JSON.parse(chunk.toString())));
  let asked = 0;
  const ask = async () => answers[Math.min(asked++, answers.length - 1)]!;
  watch = new StoreWatch({ ask, logger: pino({ base: null }, out), ...options });
  return { lines, out, asked: () => asked };
}

const said = (lines: readonly Line[]) => lines.map(({ level, msg }) => [level, msg]);

afterEach(() => watch.close());

describe('store watch', () => {
  it('store watch - says at the start what an acknowledgement is worth, and warns when that is less than a disk', async () => {
    const best = watching([good]);
    expect(await watch.check()).toEqual(good);
    expect(said(best.lines)).toEqual([[info, 'what an acknowledgement is worth']]);
    watch.close();
    const worse = watching([delayed]);
    await watch.check();
    expect(worse.lines).toMatchObject([{ level: warn, worth: 'delayed', durability: delayed.durability }]);
  });

  it('store watch - says when that changes while Headwater runs, and nothing while it stays', async () => {
    const { lines } = watching([good, good, delayed, delayed, good]);
    for (let i = 0; i < 5; i++) await watch.check();
    const changed = 'what an acknowledgement is worth has changed';
    expect(said(lines.slice(1))).toEqual([
      [warn, changed],
      [info, changed],
    ]);
    expect(watch.last).toEqual(good);
  });

  it('store watch - says when the store takes no writes, and when it does again', async () => {
    const { lines } = watching([good, full, full, good]);
    for (let i = 0; i < 4; i++) await watch.check();
    expect(said(lines.slice(1))).toEqual([
      [error, 'the store takes no writes; until it does nothing is acknowledged'],
      [info, 'the store takes writes again'],
    ]);
  });

  it('store watch - I8: a store that does not answer is red within a bound, asked once, and green when it answers', async () => {
    let answer = (_: StoreState) => {};
    const late = new Promise<StoreState>((resolve) => {
      answer = resolve;
    });
    const { lines, asked } = watching([good, late], { answerMsMax: 20 });
    await watch.check();
    const reds = await Promise.all([watch.check(), watch.check()]);
    for (const red of reds) {
      expect(red).toMatchObject({ writable: false, level: 'fsynced', problem: expect.stringContaining('20 ms') });
    }
    expect(asked()).toBe(2);
    answer(delayed);
    expect(await watch.check()).toEqual(delayed);
    expect(said(lines.slice(1)).map(([level]) => level)).toEqual([error, info, warn]);
  });

  it('store watch - one that never answered is unknown and not writable', async () => {
    watching([silent], { answerMsMax: 20 });
    expect(watch.last).toMatchObject({ writable: false, level: 'unknown' });
    expect(await watch.check()).toMatchObject({ writable: false, level: 'unknown' });
  });

  it('store watch - a question that fails is an answer: not writable', async () => {
    watching([good, Promise.reject(new Error('no such directory'))]);
    await watch.check();
    expect(await watch.check()).toMatchObject({
      writable: false,
      problem: expect.stringContaining('no such directory'),
    });
  });

  it('store watch - looks by itself now and then', async () => {
    const { lines, out } = watching([good, delayed], { everyMs: 10 });
    await once(out, 'data');
    while (lines.length < 2) await once(out, 'data');
    expect(lines.map(({ level }) => level)).toEqual([info, warn]);
  });
});
