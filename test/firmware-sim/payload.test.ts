import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { deviceIdOf, type PayloadPlan, PayloadStream, readPayload } from '../../firmware-sim/payload.ts';
import { modelNames } from '../../firmware-sim/sensor-models.ts';

const plan: PayloadPlan = {
  seed: 1,
  runId: 'seed-1',
  device: 0,
  model: 'sine',
  intervalMs: 100,
  epochMs: 1_767_225_600_000,
};

function take(count: number, from: Partial<PayloadPlan> = {}): Buffer[] {
  const payloads = new PayloadStream({ ...plan, ...from });
  return Array.from({ length: count }, () => payloads.next().bytes);
}

/** Of 200 messages each of a device per model. */
function streamDigest(seed: number): string {
  const hash = createHash('sha256');
  for (const [device, model] of modelNames.entries()) {
    for (const bytes of take(200, { seed, device, model })) hash.update(bytes);
  }
  return hash.digest('hex');
}

describe('payload', () => {
  it('payload - the same seed gives the same byte stream, on every machine and in every release', () => {
    expect(streamDigest(1)).toBe(streamDigest(1));
    expect(streamDigest(1)).toBe('ebf715f2c1513318155918a699f844e6318dfaba01ac40c3dead2b53faed83d1');
  });

  it('payload - another seed gives another byte stream', () => {
    expect(streamDigest(2)).not.toBe(streamDigest(1));
    expect(streamDigest(2 ** 32 + 1)).not.toBe(streamDigest(1));
  });

  it('payload - the devices of one seed report different values', () => {
    const values = [0, 1].map((device) => take(5, { device }).map((bytes) => JSON.parse(bytes.toString()).value));
    expect(values[0]).not.toEqual(values[1]);
  });

  it('payload - sequence numbers count from 1 and t is the planned time, which is never the real one', () => {
    const heads = take(3).map((bytes) => JSON.parse(bytes.toString()));
    expect(heads.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(heads.map(({ t }) => t - heads[0].t)).toEqual([0, 100, 200]);
    expect(heads[0].t - plan.epochMs).toBeGreaterThanOrEqual(0);
    expect(heads[0].t - plan.epochMs).toBeLessThan(100);
  });

  it('payload - reading gives back run, device and sequence number', () => {
    expect(deviceIdOf(41)).toBe('sim-00042');
    expect(take(2, { device: 41 }).map(readPayload)).toEqual([
      { runId: 'seed-1', device: 41, seq: 1 },
      { runId: 'seed-1', device: 41, seq: 2 },
    ]);
  });

  it.each([
    '',
    'hello',
    '[]',
    'null',
    '{"run":"a","device":"sim-1","seq":1}',
    '{"run":"a","device":"sim-00001","seq":1.5}',
  ])('payload - %j is no payload of a simulated device', (text) => {
    expect(readPayload(Buffer.from(text))).toBeUndefined();
  });
});
