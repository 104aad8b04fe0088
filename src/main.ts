#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import type { App } from './app.ts';
import { ConfigError, configExitCode, readConfig } from './config.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';

// The process: reads the configuration, starts the app, and stops it on SIGTERM or SIGINT.
// Exit codes: 0 stopped as asked; 64 the configuration is wrong; 1 it could not start, or a bug ended it.

/** How long a stop waits for acknowledgements that are under way. */
const stopDeadlineMs = 10_000;

async function main(): Promise<void> {
  const version = readVersion();
  const read = readConfig({ args: process.argv.slice(2), env: process.env, version });
  if ('print' in read) return void process.stdout.write(read.print);
  const logger = createLogger(read.config.logLevel);
  const { startApp } = await import('./app.ts'); // only now: a wrong flag is answered at once
  const app = await startApp(read.config, logger, version);
  stopOnSignals(app, logger);
  const { urls, durability } = app;
  const webSocket = `${urls.http.replace('http:', 'ws:')}/mqtt`;
  // Whatever the log level: others wait for this line (ARCHITECTURE §5).
  logger
    .child({}, { level: 'info' })
    .info({ ...urls, webSocket, store: read.config.store, durability, version }, 'ready');
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
