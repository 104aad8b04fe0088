import { describe, expect, it } from 'vitest';
import { runSimulator } from '../support/run-simulator.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import { storesMore } from '../support/stored-records.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const fleet = ['--devices', '40', '--rate', '20', '--duration', '8s', '--seed', '7'];
const kills = 3;

describe('stories - killed with SIGKILL three times while a fleet publishes', () => {
  for (const qos of [1, 2] as const) {
    for (const version of [4, 5]) {
      it(`QoS ${qos}, MQTT version ${version}: nothing acknowledged is lost, order is kept (I1, I5, I6, I10)`, async () => {
        const dataDir = tempDirectory();
        let server = await serverUnderTest({ dataDir });
        const { mqttPort, httpUrl } = server;
        const flags = [...fleet, '--qos', String(qos), '--mqtt-version', String(version)];
        const run = runSimulator(server, flags);
        for (let kill = 0; kill < kills; kill++) {
          await storesMore(server, 1000);
          await server.kill();
          server = await serverUnderTest({ dataDir, mqttPort, httpPort: Number(new URL(httpUrl).port) });
        }
        const { proof, ...summary } = await run;
        expect(summary).toMatchObject({ ok: true, pending: 0, refused: 0, sessionsLost: 0, abandoned: 0 });
        expect(summary.reconnects).toBeGreaterThanOrEqual(40);
        expect(proof).toMatchObject({ lost: 0, outOfOrder: 0, redeliveredAfterAck: 0, corrupted: 0, unexpected: 0 });
        if (qos === 2) expect(proof.duplicates).toBe(0);
        expect(proof.received).toBeGreaterThanOrEqual(summary.acked);
        expect(await server.stop()).toBe(0);
      }, 60_000);
    }
  }
});
