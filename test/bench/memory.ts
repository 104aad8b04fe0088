import { setTimeout as sleep } from 'node:timers/promises';
import { RestClient } from '../support/rest-client.ts';
import { startServer } from '../support/start-server.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { rssAnonMiB, rssMiB } from './process-usage.ts';
import { runLoad } from './run-load.ts';

export interface MemoryUse {
  readonly readyMs: number;
  readonly idleRssMiB: number;
  readonly idleRssAnonMiB: number;
  /** More than idle, with a backlog that nobody pulls. */
  readonly backlogMessages: number;
  readonly backlogRssAnonMiB: number;
  /** More than idle, with this many of them leased. */
  readonly leasedMessages: number;
  readonly leasedRssAnonMiB: number;
}

/** Long enough for the garbage of the load to be collected when nothing happens any more. */
const settleMs = 3000;

/** Start-up time, and what a server holds in memory: idle, with a backlog, and with part of it leased. */
export async function measureMemory(backlogMessages: number, leasedMessages: number): Promise<MemoryUse> {
  const directory = makeTempDirectory();
  const server = await startServer({ dataDir: directory.path, args: ['--log-level', 'info'] });
  try {
    const rest = new RestClient(server.httpUrl);
    await rest.createSubscription('memory', 'telemetry', { ackDeadlineSeconds: 600 });
    await sleep(settleMs);
    const idleRssMiB = Math.round(rssMiB(server.pid));
    const idle = rssAnonMiB(server.pid);
    const more = () => Math.round(rssAnonMiB(server.pid) - idle);
    const plan = { port: server.mqttPort, qos: 1, connections: 50, window: 20, payloadBytes: 128 } as const;
    await runLoad({ ...plan, messages: backlogMessages });
    await sleep(settleMs);
    const backlogRssAnonMiB = more();
    for (let leased = 0; leased < leasedMessages; ) leased += (await rest.pull('memory', 1000)).length;
    await sleep(settleMs);
    return {
      readyMs: Math.round(server.readyMs),
      idleRssMiB,
      idleRssAnonMiB: Math.round(idle),
      backlogMessages,
      backlogRssAnonMiB,
      leasedMessages,
      leasedRssAnonMiB: more(),
    };
  } finally {
    await server.kill();
    directory.remove();
  }
}
