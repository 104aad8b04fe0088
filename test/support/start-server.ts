import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Headwater in a process of its own, as users run it. */
export interface RunningServer {
  readonly pid: number;
  readonly mqttPort: number;
  readonly httpUrl: string;
  readonly mqttUrl: string;
  /** Everything it logged so far, a JSON object a line. */
  readonly log: readonly string[];
  /** From the start of the process to the ready line. */
  readonly readyMs: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface ServerOptions {
  readonly dataDir: string;
  /** 0: any free port. */
  readonly mqttPort?: number;
  readonly httpPort?: number;
  readonly args?: readonly string[];
  /** In front of the command, such as `prlimit`. */
  readonly wrapper?: readonly string[];
}

const entry = join(import.meta.dirname, '../../dist/src/main.js');

/** A start takes well under a second; a machine under load gets this long. */
const readyMsMax = 30_000;

/** Starts the built server and waits for its ready line. @throws Error with its output when that does not come. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { dataDir, mqttPort = 0, httpPort = 0, args = [], wrapper = [] } = options;
  const flags = ['--data-dir', dataDir, '--mqtt-port', String(mqttPort), '--http-port', String(httpPort), ...args];
  const [command, ...rest] = [...wrapper, process.execPath, entry, ...flags];
  const startedMs = performance.now();
  const child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log: string[] = [];
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  const ready = await readyLine(child, log, errors);
  const readyMs = performance.now() - startedMs;
  return {
    pid: child.pid!,
    mqttPort: Number(new URL(ready.mqtt).port),
    mqttUrl: ready.mqtt,
    httpUrl: ready.http,
    log,
    readyMs,
    kill: async () => void (await end(child, 'SIGKILL')),
    stop: () => end(child, 'SIGTERM'),
  };
}

interface ReadyLine {
  readonly msg: string;
  readonly mqtt: string;
  readonly http: string;
}

function readyLine(child: ChildProcess, log: string[], errors: string[]): Promise<ReadyLine> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => child.kill('SIGKILL'), readyMsMax);
    createInterface({ input: child.stdout! }).on('line', (line) => {
      log.push(line);
      if (!line.includes('"msg":"ready"')) return;
      clearTimeout(late);
      resolve(JSON.parse(line));
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      const output = [...log, ...errors].join('\n');
      reject(new Error(`The server ended with ${code ?? signal} before it was ready:\n${output}`));
    });
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = await exited;
  return code;
}
