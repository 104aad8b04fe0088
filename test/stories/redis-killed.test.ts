import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../support/redis-server.ts';
import { runSimulator } from '../support/run-simulator.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import { storesMore } from '../support/stored-records.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const fleet = ['--devices', '40', '--rate', '20', '--duration', '40s', '--seed', '11'];
/** At QoS 2 each outage costs every device its connection, five seconds after: the first PUBREL that fails holds it. */
const rounds = { 1: 10, 2: 4 } as const;
/** How long Redis stays away: some of the outages outlast the wait for an answer, so that connections are closed too. */
const awayMs = (kill: number) => (kill === 3 ? 6000 : 200);

describe('stories - Redis is killed again and again while a fleet publishes, appendfsync always', () => {
  for (const qos of [1, 2] as const) {
    it(`QoS ${qos}, ${rounds[qos]} times: nothing acknowledged is lost, order is kept, Headwater goes on by itself (I1, I5, I6)`, async () => {
      const redis = await RedisServer.start({ appendfsync: 'always' });
      onTestFinished(() => redis.remove());
      const server = await serverUnderTest({ dataDir: tempDirectory(), args: ['--store', redis.url] });
      const run = runSimulator(server, [...fleet, '--qos', String(qos)]);
      for (let kill = 0; kill < rounds[qos]; kill++) {
        await storesMore(server, 300);
        await redis.kill();
        await sleep(awayMs(kill));
        await redis.start();
      }
      const { proof, ...summary } = await run;
      expect(summary).toMatchObject({ ok: true, pending: 0, refused: 0, sessionsLost: 0, abandoned: 0 });
      expect(proof).toMatchObject({ lost: 0, outOfOrder: 0, redeliveredAfterAck: 0, corrupted: 0, unexpected: 0 });
      if (qos === 2) expect(proof.duplicates).toBe(0);
      expect(await server.stop()).toBe(0);
    }, 180_000);
  }
});
