import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Google's Pub/Sub emulator, the peer that people compare with. */
export interface Emulator {
  readonly pid: number;
  readonly httpUrl: string;
  stop(): void;
}

/** Starts the emulator of the gcloud that is on the path; undefined when there is none. */
export async function startEmulator(): Promise<Emulator | undefined> {
  const script = emulatorScript();
  if (!script) return undefined;
  const port = await freePort();
  // `exec`, so that the process that is measured and stopped is the emulator's own.
  const child = spawn('bash', ['-c', `exec "${script}" --host=127.0.0.1 --port=${port}`], {
    stdio: 'ignore',
    detached: true,
  });
  const httpUrl = `http://127.0.0.1:${port}`;
  await answers(httpUrl, child);
  return { pid: javaOf(child.pid!), httpUrl, stop: () => process.kill(-child.pid!, 'SIGKILL') };
}

function emulatorScript(): string | undefined {
  try {
    const root = execFileSync('gcloud', ['info', '--format=value(installation.sdk_root)'], { encoding: 'utf8' }).trim();
    const script = join(root, 'platform/pubsub-emulator/bin/cloud-pubsub-emulator');
    return existsSync(script) ? script : undefined;
  } catch {
    return undefined;
  }
}

/** The script starts Java as a child or becomes it. */
function javaOf(pid: number): number {
  try {
    return Number(
      execFileSync('pgrep', ['-P', String(pid), 'java'], { encoding: 'utf8' })
        .trim()
        .split('\n')[0],
    );
  } catch {
    return pid;
  }
}

async function answers(httpUrl: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) break;
    if (
      await fetch(httpUrl).then(
        (reply) => reply.ok,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('The emulator did not come up.');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
