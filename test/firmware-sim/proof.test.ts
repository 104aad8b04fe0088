import { afterEach, describe, expect, it } from 'vitest';
import { Simulation } from '../../firmware-sim/simulation.ts';
import type { Summary } from '../../firmware-sim/summary.ts';
import { optionsOf } from './options.ts';
import { type Spoil, type SpoiledBridge, startSpoiledBridge } from './spoiled-bridge.ts';

const honest: Spoil = ({ payload }) => [payload];

describe('proof', () => {
  let bridge: SpoiledBridge;

  afterEach(() => bridge.close());

  /** 5 devices × 20 messages through a server that treats them as `spoil` says. */
  async function prove(flags: string, spoil: Spoil, forgetAcks = 0, failures = 0): Promise<Summary> {
    bridge = await startSpoiledBridge(spoil, forgetAcks);
    bridge.failures = failures;
    const run = `--devices 5 --rate 50 --duration 400ms --drain 500ms ${flags}`;
    const options = optionsOf(`${run} --url ${bridge.mqttUrl} --verify ${bridge.httpUrl}`);
    return await new Simulation(options, { nonce: 'test', now: () => performance.now() }).run();
  }

  it.each([0, 1, 2])(
    'proof - an honest server passes at QoS %i, and the subscription is gone afterwards',
    async (qos) => {
      const summary = await prove(`--qos ${qos}`, honest);
      expect(summary).toMatchObject({ ok: true, problems: [], acked: 100, proof: { received: 100, worst: [] } });
      expect([bridge.requests[0], bridge.requests.at(-1)]).toEqual(['PUT', 'DELETE']);
    },
  );

  it.each([0, 1, 2])('proof - a message lost at QoS %i fails the run and is named', async (qos) => {
    const summary = await prove(`--qos ${qos}`, (one) =>
      one.device === 'sim-00003' && one.seq === 7 ? [] : [one.payload],
    );
    expect(summary).toMatchObject({ ok: false, proof: { lost: 1, worst: [{ deviceId: 'sim-00003', missing: [7] }] } });
    expect(summary.problems).toHaveLength(1);
  });

  it.each([
    [0, false],
    [1, true],
    [2, false],
  ])('proof - a message stored twice at QoS %i: allowed is %s', async (qos, allowed) => {
    const summary = await prove(`--qos ${qos}`, ({ payload, seq }) => (seq === 3 ? [payload, payload] : [payload]));
    expect(summary).toMatchObject({ ok: allowed, proof: { duplicates: 5, lost: 0 } });
  });

  it('proof - two messages of a device that change places fail the run', async () => {
    let held: Buffer[] = [];
    const summary = await prove('--qos 1', ({ payload, device, seq }) => {
      if (device !== 'sim-00002') return [payload];
      if (seq === 5) held = [payload];
      return seq === 5 ? [] : [payload, ...held.splice(0)];
    });
    expect(summary).toMatchObject({ ok: false, proof: { outOfOrder: 1, lost: 0, worst: [{ deviceId: 'sim-00002' }] } });
  });

  it('proof - a changed byte fails the run', async () => {
    const summary = await prove('--qos 1', ({ payload, seq }) => [
      seq === 9 ? Buffer.from(payload.toString().replace('"t":1', '"t":2')) : payload,
    ]);
    expect(summary).toMatchObject({ ok: false, proof: { corrupted: 5 } });
  });

  it('proof - a message that comes again after its ack was confirmed fails the run (I2)', async () => {
    const summary = await prove('--qos 1', honest, 3);
    expect(summary).toMatchObject({ ok: false, proof: { redelivered: 3, redeliveredAfterAck: 3, duplicates: 0 } });
  });

  it('proof - requests that fail for a while are tried again, and cost nothing but time', async () => {
    const summary = await prove('--qos 2', honest, 0, 3);
    expect(summary).toMatchObject({ ok: true, proof: { received: 100 } });
    expect(bridge.requests.slice(0, 4)).toEqual(['PUT', 'PUT', 'PUT', 'PUT']);
  });

  it('proof - messages of another run are ignored', async () => {
    const summary = await prove('--qos 1', ({ payload }) => [
      payload,
      Buffer.from(payload.toString().replace('seed-1', 'seed-2')),
    ]);
    expect(summary).toMatchObject({ ok: true, proof: { received: 100, duplicates: 0, foreign: 100 } });
  });
});
