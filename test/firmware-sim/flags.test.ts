import { describe, expect, it } from 'vitest';
import { parseFlags, UsageError } from '../../firmware-sim/flags.ts';
import { optionsOf } from './options.ts';

function complaint(...args: string[]): string {
  try {
    parseFlags(args, 0);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error(`${args.join(' ')} was accepted`);
}

describe('flags', () => {
  it('flags - the defaults are those of the design of record', () => {
    expect(parseFlags([], 0)).toMatchObject({
      devices: 100,
      ratePerS: 10,
      durationMs: 30_000,
      qos: 1,
      seed: 1,
      url: { host: '127.0.0.1', port: 1883 },
      verify: undefined,
      project: 'headwater',
      topic: 'devices/{deviceId}/events/{model}',
      offlineBufferMax: 10_000,
      inflightMax: 20,
      drainMs: 20_000,
      runId: 'seed-1',
      json: false,
    });
  });

  it.each([
    ['--duration 500ms', { durationMs: 500 }],
    ['--duration 1.5m', { durationMs: 90_000 }],
    ['--url mqtt://me:p%40ss@[::1]:1884', { url: { host: '::1', port: 1884, username: 'me', password: 'p@ss' } }],
    ['--verify http://127.0.0.1:8085/', { verify: 'http://127.0.0.1:8085' }],
    ['--models gps,step', { models: ['gps', 'step'] }],
    ['--seed 7', { seed: 7, runId: 'seed-7' }],
    ['--wall-clock', { epochMs: 0 }],
  ])('flags - %s is understood', (line, expected) => {
    expect(optionsOf(line)).toMatchObject(expected);
  });

  it.each([
    ['--devices 0', 'from 1 to 50000'],
    ['--devices 1.5', 'whole number'],
    ['--rate fast', 'number from 0.001 to 1000'],
    ['--duration 30', 'such as 500ms, 30s, 5m or 2h'],
    ['--duration 0s', 'such as 500ms, 30s, 5m or 2h'],
    ['--qos 3', 'one of 0, 1, 2'],
    ['--mqtt-version 3', 'one of 4, 5'],
    ['--url ws://127.0.0.1', 'only mqtt:// is spoken'],
    ['--verify 127.0.0.1:8085', 'such as http://127.0.0.1:8085'],
    ['--topic devices/events', 'must contain {deviceId}'],
    ['--topic {deviceId}/#', 'may not contain'],
    ['--models sine,dice', "no model 'dice'"],
    ['--flaky 2', 'from 0 to 1'],
    ['--offline-buffer 0', 'from 1 to'],
    ['--run-id a/b', 'letters, digits'],
    ['--speed 3', "unknown option '--speed'"],
    ['now', 'too many arguments'],
    ['--verify http://x --devices 50000 --rate 1000', 'lower one of them'],
  ])('flags - %s is refused in one sentence that says what is allowed', (line, part) => {
    const message = complaint(...line.split(' '));
    expect(message).toContain(part);
    expect(message).not.toContain('\n');
  });
});
