import { Command, CommanderError } from 'commander';
import {
  duration,
  httpUrl,
  integer,
  modelList,
  mqttUrl,
  number,
  oneOf,
  runIdentifier,
  topicPattern,
} from './flag-values.ts';
import type { SimulationOptions } from './options.ts';
import { modelNames } from './sensor-models.ts';

/** A flag is wrong; the message says which, and what is allowed. */
export class UsageError extends Error {
  readonly exitCode = 64; // EX_USAGE of sysexits.h
}

/** At 13 bytes each in the ledger: 260 MB. */
const verifiedMessagesMax = 20_000_000;

/** 2026-01-01T00:00:00Z: without `--wall-clock` every run happens on the same day, so that streams can be compared. */
const defaultEpochMs = 1_767_225_600_000;

/**
 * @param args without node and script.
 * @returns undefined when `--help` was asked for and printed.
 * @throws UsageError
 */
export function parseFlags(args: readonly string[], nowMs: number): SimulationOptions | undefined {
  const command = makeCommand();
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
  }
  return toOptions(command.opts<Flags>(), nowMs);
}

function toOptions(flags: Flags, nowMs: number): SimulationOptions {
  const {
    rate,
    duration,
    stormEvery,
    offlineFor,
    offlineBuffer,
    inflight,
    connectLimit,
    drain,
    wallClock,
    runId,
    verify,
    ...same
  } = flags;
  const messages = (flags.devices * rate * duration) / 1000;
  if (verify !== undefined && messages > verifiedMessagesMax) {
    const product = '--devices × --rate × --duration';
    throw new UsageError(
      `--verify can follow ${verifiedMessagesMax} messages, but ${product} makes ${messages}; lower one of them`,
    );
  }
  return {
    ...same,
    verify,
    ratePerS: rate,
    durationMs: duration,
    stormEveryMs: stormEvery,
    offlineForMs: offlineFor,
    offlineBufferMax: offlineBuffer,
    inflightMax: inflight,
    connectMs: connectLimit,
    drainMs: drain,
    runId: runId ?? `seed-${flags.seed}`,
    epochMs: wallClock ? nowMs : defaultEpochMs,
  };
}

interface Flags
  extends Pick<
    SimulationOptions,
    | 'devices'
    | 'qos'
    | 'seed'
    | 'url'
    | 'project'
    | 'pubsubTopic'
    | 'topic'
    | 'mqttVersion'
    | 'models'
    | 'flaky'
    | 'json'
  > {
  readonly rate: number;
  readonly duration: number;
  readonly verify: string | undefined;
  readonly stormEvery: number;
  readonly offlineFor: number;
  readonly offlineBuffer: number;
  readonly inflight: number;
  readonly connectLimit: number;
  readonly drain: number;
  readonly runId: string | undefined;
  readonly wallClock: boolean;
}

function makeCommand(): Command {
  return new Command('simulate')
    .description('Simulates a fleet of devices and, with --verify, proves what the server did with their messages.')
    .option('--devices <n>', 'number of devices', integer(1, 50_000), 100)
    .option('--rate <n>', 'messages per second of each device', number(0.001, 1000), 10)
    .option('--duration <time>', 'how long to send: 500ms, 30s, 5m, 2h', duration(1), 30_000)
    .option('--qos <level>', 'quality of service: 0, 1 or 2', oneOf<0 | 1 | 2>(0, 1, 2), 1)
    .option(
      '--seed <n>',
      'the same seed gives the same readings, phases and faults',
      integer(0, Number.MAX_SAFE_INTEGER),
      1,
    )
    .option(
      '--url <url>',
      'MQTT server, with user:password@ if it wants one',
      mqttUrl,
      mqttUrl('mqtt://127.0.0.1:1883'),
    )
    .option('--verify <url>', 'read everything back over the Pub/Sub REST API of this server', httpUrl)
    .option('--project <id>', 'project of the subscription that --verify creates', 'headwater')
    .option('--pubsub-topic <id>', 'Pub/Sub topic that the messages are routed to', 'telemetry')
    .option(
      '--topic <pattern>',
      'MQTT topic; {deviceId} and {model} are filled in',
      topicPattern,
      'devices/{deviceId}/events/{model}',
    )
    .option('--mqtt-version <level>', '4 (MQTT 3.1.1) or 5', oneOf<4 | 5>(4, 5), 4)
    .option('--models <names>', `sensor models, dealt out in turn, of: ${modelNames.join(',')}`, modelList, modelNames)
    .option('--flaky <p>', 'chance per second, 0..1, that a device loses its link', number(0, 1), 0)
    .option('--storm-every <time>', 'cut all links at the same instant, this often; 0s is never', duration(0), 0)
    .option('--offline-for <time>', 'how long a flaky device stays away, on average', duration(0), 500)
    .option(
      '--offline-buffer <n>',
      'readings a device keeps while it cannot send; then the oldest goes',
      integer(1, 1_000_000),
      10_000,
    )
    .option('--inflight <n>', 'messages a device sends ahead of their acknowledgement', integer(1, 1000), 20)
    .option('--run-id <id>', 'marks the messages of this run (default: seed-<seed>)', runIdentifier)
    .option('--connect-limit <time>', 'how long to try to reach the server before the start', duration(1), 30_000)
    .option('--drain <time>', 'how long to wait, without progress, for what is still to come', duration(1), 20_000)
    .option('--wall-clock', 'count t in the payloads from now instead of a fixed day', false)
    .option('--json', 'print one line of JSON instead of progress and a summary', false)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined }); // the error is thrown, and main.ts says it once
}
