import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Simulation } from '../../firmware-sim/simulation.ts';
import type { Summary } from '../../firmware-sim/summary.ts';
import { type Broker, startBroker } from './broker.ts';
import { optionsOf } from './options.ts';
import { type Cutter, startTap, type Tap } from './tap.ts';

const never: Cutter = () => false;

/** Five messages of one device within 50 ms. */
const five = '--devices 1 --rate 100 --duration 50ms --drain 5s';

describe('device', () => {
  let broker: Broker;
  let tap: Tap;

  beforeEach(async () => {
    broker = await startBroker();
  });

  afterEach(async () => {
    tap?.close();
    await broker.close();
  });

  async function run(line: string, cutBefore: Cutter = never): Promise<Summary> {
    const mqttVersion = line.includes('--mqtt-version 5') ? 5 : 4;
    tap = await startTap(broker.port, mqttVersion, cutBefore);
    const options = optionsOf(`${line} --url mqtt://127.0.0.1:${tap.port}`);
    return await new Simulation(options, { nonce: 'test', now: () => performance.now() }).run();
  }

  it.each([0, 1, 2])(
    'device - at QoS %i a calm line carries every message once, in order, to the topic of its model',
    async (qos) => {
      const summary = await run(`--devices 4 --rate 50 --duration 200ms --qos ${qos}`);
      expect(summary).toMatchObject({ ok: true, sent: 40, acked: 40, resent: 0, reconnects: 0, pending: 0 });
      for (const device of ['sim-00001', 'sim-00002', 'sim-00003', 'sim-00004']) {
        expect(broker.seqsOf(device)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      }
      expect(new Set(broker.published.map(({ topic }) => topic))).toEqual(
        new Set(['sine', 'walk', 'step', 'gps'].map((model, index) => `devices/sim-0000${index + 1}/events/${model}`)),
      );
    },
  );

  it('device - MQTT-4.4.0-1: an unacknowledged QoS 1 message is repeated with DUP and its old packet id, before any new one', async () => {
    const summary = await run(
      `${five} --qos 1`,
      (packet, _, connection) => packet.cmd === 'puback' && connection === 0,
    );
    expect(summary).toMatchObject({ ok: true, acked: 5, reconnects: 1 });
    const [before, after] = [publishesOf(0), publishesOf(1)];
    expect(after.slice(0, before.length)).toEqual(before.map((publish) => ({ ...publish, dup: true })));
    expect(after.map(({ messageId }) => messageId)).toEqual([1, 2, 3, 4, 5]);
  });

  it('device - a QoS 2 message without PUBREC is repeated as PUBLISH, and taken once (I6)', async () => {
    const summary = await run(
      `${five} --qos 2`,
      (packet, _, connection) => packet.cmd === 'pubrec' && connection === 0,
    );
    expect(summary).toMatchObject({ ok: true, acked: 5, reconnects: 1 });
    expect(publishesOf(1)[0]).toEqual({ messageId: 1, dup: true });
    expect(broker.seqsOf('sim-00001')).toEqual([1, 2, 3, 4, 5]);
  });

  it('device - a QoS 2 message with PUBREC is repeated as PUBREL only', async () => {
    const summary = await run(
      `${five} --qos 2`,
      (packet, _, connection) => packet.cmd === 'pubcomp' && connection === 0,
    );
    expect(summary).toMatchObject({ ok: true, acked: 5, reconnects: 1 });
    expect(tap.connections[1]!.toBroker[0]).toMatchObject({ cmd: 'connect', clean: false });
    expect(tap.connections[1]!.toBroker[1]).toMatchObject({ cmd: 'pubrel', messageId: 1 });
    expect(publishesOf(1).map(({ messageId }) => messageId)).not.toContain(1);
    expect(broker.seqsOf('sim-00001')).toEqual([1, 2, 3, 4, 5]);
  });

  it('device - MQTT 5: when the server has no session, QoS 1 is published anew under new packet ids', async () => {
    const cut: Cutter = (packet, _, connection) => packet.cmd === 'puback' && connection === 0;
    const summary = await run(`${five} --qos 1 --mqtt-version 5`, cut);
    expect(summary).toMatchObject({ ok: true, acked: 5, sessionsLost: 1 });
    expect(publishesOf(1).every(({ dup, messageId }) => !dup && messageId! > publishesOf(0).length)).toBe(true);
    expect([...new Set(broker.seqsOf('sim-00001'))]).toEqual([1, 2, 3, 4, 5]);
  });

  it('device - MQTT 5: when the server has no session, QoS 2 gives up what is in doubt and says so', async () => {
    const cut: Cutter = (packet, _, connection) => packet.cmd === 'pubrec' && connection === 0;
    const summary = await run(`${five} --qos 2 --mqtt-version 5`, cut);
    expect(summary).toMatchObject({ ok: true, sessionsLost: 1 });
    expect(summary.abandoned).toBe(publishesOf(0).length);
    expect(summary.abandoned).toBeGreaterThan(0);
    expect(summary.acked + summary.abandoned).toBe(5);
    expect(summary.notes.join()).toContain('given up');
  });

  it('device - a 3.1.1 session is taken up by every reconnect and wiped by a last clean connection', async () => {
    await run(`${five} --qos 1`, (packet, _, connection) => packet.cmd === 'puback' && connection === 0);
    const connects = tap.connections.map(({ toBroker }) => toBroker[0]);
    expect(connects).toMatchObject([{ clean: false }, { clean: false }, { clean: true }]);
    expect(new Set(connects.map((connect) => connect?.cmd === 'connect' && connect.clientId))).toEqual(
      new Set(['seed-1-test-sim-00001']),
    );
  });

  it.each([1, 2])('device - at QoS %i cuts and storms lose nothing and keep each device in order', async (qos) => {
    const summary = await run(
      `--devices 20 --rate 20 --duration 2s --qos ${qos} --flaky 0.8 --offline-for 50ms --storm-every 700ms`,
    );
    expect(summary).toMatchObject({ ok: true, sent: 800, acked: 800, bufferDrops: 0 });
    expect(summary.dropsInjected).toBeGreaterThan(40); // two storms of 20 and the flaky ones
    expect(summary.resent).toBeGreaterThan(0);
    const expected = Array.from({ length: 40 }, (_, index) => index + 1);
    for (let device = 1; device <= 20; device += 1) {
      const seqs = broker.seqsOf(`sim-${String(device).padStart(5, '0')}`);
      expect(qos === 2 ? seqs : [...new Set(seqs)]).toEqual(expected);
    }
  });

  it('device - the offline buffer drops the oldest readings at its bound, and counts them', async () => {
    let refused = 0;
    const absent: Cutter = (packet, direction, connection) => {
      if (connection === 0) return packet.cmd === 'puback';
      const early = direction === 'toBroker' && packet.cmd === 'connect' && broker.published.length > 0 && refused < 2;
      if (early) refused += 1;
      return early;
    };
    const summary = await run(
      '--devices 1 --rate 200 --duration 500ms --qos 1 --inflight 2 --offline-buffer 5',
      absent,
    );
    expect(summary.ok).toBe(true);
    expect(summary.bufferDrops).toBeGreaterThan(0);
    expect(summary.sent + summary.bufferDrops).toBe(100);
    expect(summary.acked).toBe(summary.sent);
    const seqs = [...new Set(broker.seqsOf('sim-00001'))];
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(seqs.at(-1)).toBe(100);
  });

  it('device - a server that never acknowledges is reported after the drain time', async () => {
    const summary = await run(
      `--devices 1 --rate 100 --duration 50ms --drain 300ms --qos 1`,
      (packet) => packet.cmd === 'puback',
    );
    expect(summary).toMatchObject({ ok: false, acked: 0 });
    expect(summary.problems[0]).toMatch(/^5 messages were not acknowledged/);
  });

  function publishesOf(connection: number): { messageId: number | undefined; dup: boolean }[] {
    return tap.connections[connection]!.toBroker.flatMap((packet) =>
      packet.cmd === 'publish' ? [{ messageId: packet.messageId, dup: packet.dup }] : [],
    );
  }
});
