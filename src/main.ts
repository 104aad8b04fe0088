#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { App } from './app.ts';
import { withoutPassword } from './config/store-url.ts';
import { type Config, ConfigError, configExitCode, readConfig } from './config.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { isWorker, serveAsWorker } from './workers/worker.ts';

// The process: reads the configuration, starts the app, and stops it on SIGTERM or SIGINT. With `--workers`
// the app runs in processes of their own (this file again, forked), and this one looks after them.
// Exit codes: 0 stopped as asked; 64 the configuration is wrong; 1 it could not start, or a bug ended it.

// V8 judges by a sample whether what a line makes lives long. In the first burst every message is still on its way to the
// disk, so V8 makes messages in the old generation from then on: half as much CPU time again, and 60 MB (measured).
setFlagsFromString('--no-allocation-site-pretenuring');

/** How long a stop waits for acknowledgements that are under way. */
const stopDeadlineMs = 10_000;

async function main(): Promise<void> {
  if (isWorker()) return serveAsWorker(stopOnSignals);
  const version = readVersion();
  const read = readConfig({ args: process.argv.slice(2), env: process.env, version });
  if ('print' in read) return void process.stdout.write(read.print);
  const logger = createLogger(read.config.logLevel);
  const app = await start(read.config, logger, version);
  stopOnSignals(app, logger);
  const { urls, durability } = app;
  const store = withoutPassword(read.config.store);
  const { workers } = read.config;
  const webSocket = `${urls.http.replace('http:', 'ws:')}/mqtt`;
  // Whatever the log level: others wait for this line (ARCHITECTURE §5).
  logger.child({}, { level: 'info' }).info({ ...urls, webSocket, store, durability, workers, version }, 'ready');
}

/** Imports only now: a wrong flag is answered at once, and a supervisor needs none of what its workers do. */
async function start(config: Config, logger: Logger, version: string): Promise<App> {
  if (config.workers > 1) return (await import('./workers/supervisor.ts')).startWorkers(config, logger, version);
  return (await import('./app.ts')).startApp(config, logger, version);
}

function stopOnSignals(app: App, logger: Logger): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    await app.close(stopDeadlineMs);
    logger.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
}

function readVersion(): string {
  // The same file from src/main.ts and from dist/src/main.js.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;
    } catch {}
  }
  return 'unknown';
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    process.exit(configExitCode);
  }
  process.stderr.write(`Headwater cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
