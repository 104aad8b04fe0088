import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../support/redis-server.ts';
import { runSimulator } from '../support/run-simulator.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import type { RunningServer } from '../support/start-server.ts';
import { storesMore } from '../support/stored-records.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const fleet = ['--devices', '40', '--rate', '20', '--duration', '6s', '--seed', '5', '--qos', '2'];
const telemetry = 'projects/headwater/topics/telemetry';

/** As a user of gcloud would: `gcloud pubsub topics update telemetry --update-labels=headwater-partitions=4`. */
async function grow({ httpUrl }: RunningServer, partitions: number): Promise<number> {
  const topic = { name: telemetry, labels: { 'headwater-partitions': `${partitions}` } };
  const body = JSON.stringify({ topic, updateMask: 'labels' });
  return (await fetch(`${httpUrl}/v1/${telemetry}`, { method: 'PATCH', body })).status;
}

describe('stories - a topic grows', () => {
  for (const store of ['LMDB', 'Redis'] as const) {
    it(`on ${store}, twice, while a fleet publishes: nothing is lost, QoS 2 is stored once (I3, I6)`, async () => {
      const args: string[] = [];
      if (store === 'Redis') {
        const redis = await RedisServer.start({ appendfsync: 'always' });
        onTestFinished(() => redis.remove());
        args.push('--store', redis.url);
      }
      const server = await serverUnderTest({ dataDir: tempDirectory(), args });
      const run = runSimulator(server, fleet);
      for (const partitions of [3, 8]) {
        await storesMore(server, 800);
        expect(await grow(server, partitions)).toBe(200);
      }
      expect(await grow(server, 2)).toBe(400); // fewer: a log cannot be folded into another
      const { proof, ...summary } = await run;
      // What waited when the topic grew may be delivered beside what came after, so the order is not asked for here.
      expect(summary).toMatchObject({ pending: 0, refused: 0, abandoned: 0 });
      expect(proof).toMatchObject({ lost: 0, duplicates: 0, redeliveredAfterAck: 0, corrupted: 0, unexpected: 0 });
      expect(await server.stop()).toBe(0);
    }, 60_000);
  }

  it('with a larger number in the file at the next start; a smaller one is told and changes nothing', async () => {
    const directory = tempDirectory();
    const file = join(directory, 'headwater.yaml');
    const start = (partitions: number) => {
      writeFileSync(file, `topics:\n  - name: ${telemetry}\n    partitions: ${partitions}\n`);
      return serverUnderTest({ dataDir: directory, args: ['--config', file] });
    };
    const first = await start(2);
    expect(first.log.join()).toMatch(/topics\/telemetry.*"msg":"created"/);
    await first.stop();
    const grown = await start(4);
    expect(grown.log.join()).toMatch(/yaml:2 topics\[0\].*"msg":"split over more partitions"/);
    await grown.stop();
    const fewer = await start(2);
    expect(fewer.log.join()).toMatch(/yaml:2 topics\[0\].*another definition, which stays/);
    await fewer.stop();
  });
});
