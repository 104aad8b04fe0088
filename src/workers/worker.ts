import cluster from 'node:cluster';
import { once } from 'node:events';
import type { App } from '../app.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { GroupExposition } from './group-exposition.ts';
import { report, type StartOrder, workerWord } from './messages.ts';

/** True in a process that `startWorkers` has forked. */
export function isWorker(): boolean {
  return cluster.isWorker && process.argv[2] === workerWord;
}

/**
 * Serves as the supervisor orders. It tells why it cannot, so that this is said once for all workers, and then ends.
 * When the supervisor is gone node:cluster ends this process.
 * @param stopOnSignals called before the supervisor may think that this worker understands them.
 */
export async function serveAsWorker(stopOnSignals: (app: App, logger: Logger) => void): Promise<void> {
  const { config, version, worker } = await startOrder();
  const logger = createLogger(config.logLevel).child({ worker });
  try {
    const { startApp } = await import('../app.ts');
    const app = await startApp(config, logger, version, (registry) => new GroupExposition(registry));
    stopOnSignals(app, logger);
    logger.info({ pid: process.pid }, 'worker serves');
    await report({ kind: 'ready', urls: app.urls, durability: app.durability });
  } catch (error) {
    await report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
}

async function startOrder(): Promise<StartOrder> {
  const ordered = once(process, 'message');
  await report({ kind: 'hello' });
  const [order] = await ordered;
  return order;
}
