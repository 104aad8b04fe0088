import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RunningServer } from './start-server.ts';

/** Where the devices publish, and where it is read back: a server, or two. */
export type SimulatorTarget = Pick<RunningServer, 'mqttUrl' | 'httpUrl'>;

/** What the stories look at in the simulator's summary. */
export interface SimulatorSummary {
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly sent: number;
  readonly acked: number;
  readonly pending: number;
  readonly refused: number;
  readonly reconnects: number;
  readonly sessionsLost: number;
  readonly abandoned: number;
  readonly proof: {
    readonly received: number;
    readonly lost: number;
    readonly duplicates: number;
    readonly outOfOrder: number;
    readonly redeliveredAfterAck: number;
    readonly corrupted: number;
    readonly unexpected: number;
  };
}

const entry = join(import.meta.dirname, '../../dist/firmware-sim/main.js');

/** Runs the built simulator against a server, verifying; resolves with its summary, whatever it found. */
export async function runSimulator(server: SimulatorTarget, flags: readonly string[]): Promise<SimulatorSummary> {
  const args = [entry, '--url', server.mqttUrl, '--verify', server.httpUrl, '--json', ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  await once(child, 'close');
  const line = out.trim().split('\n').at(-1);
  if (!line?.startsWith('{')) throw new Error(`The simulator printed no summary:\n${out}\n${errors}`);
  return JSON.parse(line) as SimulatorSummary;
}
