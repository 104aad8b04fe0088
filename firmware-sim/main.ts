import { randomBytes } from 'node:crypto';
import { parseFlags, UsageError } from './flags.ts';
import { FleetOffline } from './fleet.ts';
import type { SimulationOptions } from './options.ts';
import { showProgress } from './progress.ts';
import { RestError } from './pubsub-rest.ts';
import { Simulation } from './simulation.ts';
import { describe } from './summary.ts';

/** Exit codes: 0 all well, 1 the proof failed, 64 a wrong flag, 69 no server (sysexits.h), 130 interrupted twice. */
process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const options = parseFlags(process.argv.slice(2), Date.now());
    return options === undefined ? 0 : await simulate(options);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof FleetOffline || error instanceof RestError)) throw error;
    console.error(`simulate: ${error.message}`);
    return error instanceof UsageError ? error.exitCode : 69;
  }
}

async function simulate(options: SimulationOptions): Promise<number> {
  const nonce = randomBytes(4).toString('hex');
  const simulation = new Simulation(options, { nonce, now: () => performance.now() });
  const live = process.stderr.isTTY && !options.json;
  const endProgress = live
    ? showProgress(process.stderr, simulation.planned, () => simulation.progress())
    : () => undefined;
  process.once('SIGINT', () => {
    simulation.stop(); // the first Ctrl-C ends the sending, the second everything
    process.once('SIGINT', () => process.exit(130));
  });
  try {
    const summary = await simulation.run();
    endProgress();
    console.log(options.json ? JSON.stringify(summary) : describe(summary));
    return summary.ok ? 0 : 1;
  } finally {
    endProgress();
  }
}
