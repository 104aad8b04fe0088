import { isIP } from 'node:net';
import { topicPartitionsMax } from '../domain/partitions.ts';
import { bytes, duration, type Kind, oneOf, textual, trueOrFalse, wholeNumber } from './kind.ts';
import { isStoreUrl, storeUrlAllowed } from './store-url.ts';

/** One line of the configuration: the same key as a flag, an environment variable and in the file. */
export interface Setting<T> {
  readonly kind: Kind<T>;
  /** Undefined: the setting may be left out. */
  readonly fallback: T | undefined;
  /** What the help shows as the default when `fallback` is undefined. */
  readonly fallbackText?: string;
  /** One line; says what happens at a bound. */
  readonly help: string;
}

interface Defaulted<T> extends Setting<T> {
  readonly fallback: T;
}

function setting<T>(kind: Kind<T>, fallback: T, help: string): Defaulted<T> {
  return { kind, fallback, help };
}

function optional<T>(kind: Kind<T>, fallbackText: string, help: string): Setting<T> {
  return { kind, fallback: undefined, fallbackText, help };
}

const port = wholeNumber(0, 65_535, '<port>');
const path = textual('<path>', 'a path', (text) => text !== '' && !text.includes('\0'));
const host = textual('<host>', 'an IP address or a host name', isHost);
const project = textual(
  '<id>',
  '1 to 100 letters, digits and - _ . : with a letter or digit first',
  (text) => /^[A-Za-z0-9][A-Za-z0-9\-_.:]{0,99}$/.test(text), // as checkProject in domain/resource-name.ts
);
const store = textual('<url>', storeUrlAllowed, isStoreUrl);
const prefix = textual(
  '<text>',
  '1 to 64 letters, digits and : . _ - /', // no braces: they mark hash tags; nothing that a pattern could take for more
  (text) => /^[A-Za-z0-9:._/-]{1,64}$/.test(text),
);
const publicUrl = textual('<url>', 'http:// or https:// and a host, with a port if need be, and no path', isPublicUrl);
const targets = textual(
  '<list>',
  'host names, addresses and subnets such as 10.1.0.0/16, separated by commas',
  (text) => text.split(',').every((entry) => /^[A-Za-z0-9._:-]{1,253}(\/\d{1,3})?$/.test(entry)),
);
const logLevel = oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent');

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const secondMs = 1000;
const minuteMs = 60 * secondMs;
const count = wholeNumber(1, 65_535);
const bufferBytes = bytes(MiB, 4 * GiB);

/** Every setting there is, in the order of the help. */
export const settings = {
  config: optional(path, 'none', 'YAML file with these settings, topics, subscriptions and routes'),
  host: setting(host, '127.0.0.1', 'address that the listeners bind to'),
  mqttPort: setting(port, 1883, 'MQTT over TCP; 0 picks a free port'),
  mqttsPort: optional(port, 'none', 'MQTT over TLS, with the two files below; 0 picks a free port'),
  mqttsCertFile: optional(path, 'none', 'certificate chain for MQTT over TLS, PEM'),
  mqttsKeyFile: optional(path, 'none', 'private key for MQTT over TLS, PEM'),
  httpPort: setting(port, 8085, 'REST, MQTT over WebSocket, health and metrics; 0 picks a free port'),
  dataDir: setting(path, './data', 'directory of the embedded store'),
  store: optional(store, 'lmdb: and data-dir', 'where messages are kept; on Redis many nodes may share it'),
  redisPrefix: setting(prefix, 'headwater:', 'in front of every key and channel: sets deployments on one Redis apart'),
  redisWait: setting(
    wholeNumber(0, 16),
    0,
    'replicas that must have a message before it is acknowledged; fewer in reach, and nothing is',
  ),
  redisWaitAof: setting(
    trueOrFalse,
    false,
    'ask Redis, and those replicas, to have it on disk first (WAITAOF, Redis 7.2 with appendonly yes)',
  ),
  redisTimeoutMs: setting(
    duration(100, minuteMs),
    2 * secondMs,
    'how long Redis may take to answer; then the request is answered UNAVAILABLE and the message is not acknowledged',
  ),
  workers: setting(wholeNumber(1, 64), 1, 'processes that serve the same ports, one per core; on Redis only'),
  topicPartitions: setting(
    wholeNumber(1, topicPartitionsMax),
    1,
    'logs that share the load of a topic which is made without saying how many',
  ),
  project: setting(project, 'headwater', 'project of the topics that routes name by their short ids'),
  logLevel: setting(logLevel, 'info', 'least severe log lines that are written'),
  allowAnonymous: setting(trueOrFalse, false, 'listen beyond this machine although nobody has to log in'),
  defaultRoutes: setting(trueOrFalse, true, 'route devices/{deviceId}/events and …/state after the routes of the file'),
  mqttConnectionsMax: setting(wholeNumber(1, 1_000_000), 10_000, 'MQTT connections at a time; one more is closed'),
  mqttPacketBytesMax: setting(bytes(KiB, 64 * MiB), MiB, 'size of an MQTT packet; a larger one closes the connection'),
  mqttInflightMax: setting(count, 32, 'unacknowledged publishes of a connection; then it is not read from'),
  mqttOutboundBytesMax: setting(
    bytes(64 * KiB, GiB),
    8 * MiB,
    'what waits for one MQTT client to read; then QoS 0 is dropped; more stays in the queue of a session that is kept, else it is disconnected',
  ),
  mqttQos0BytesMax: setting(bufferBytes, 64 * MiB, 'QoS 0 messages on their way to the store; more are dropped'),
  mqttStoreDeadlineMs: setting(
    duration(100, 10 * minuteMs),
    5 * secondMs,
    'age of an unacknowledged publish at which its connection is closed, so that the device sends again',
  ),
  mqttSessionsMax: setting(
    wholeNumber(1, 1_000_000),
    10_000,
    'MQTT sessions that outlive their connections; one more is refused',
  ),
  mqttSessionQueueBytesMax: setting(bufferBytes, 64 * MiB, 'what waits for one MQTT session; more is dropped'),
  mqttRetainedBytesMax: setting(bufferBytes, 64 * MiB, 'retained MQTT messages; one more is not kept'),
  publicUrl: optional(publicUrl, 'host and http-port', 'how others reach the HTTP port: the issuer of push tokens'),
  pushAllow: optional(targets, 'none', 'push endpoints that may be private, and plain http'),
  pushCaFile: optional(
    path,
    'none',
    'certificates that push endpoints may be signed with, beside the public ones, PEM',
  ),
  httpConnectionsMax: setting(
    wholeNumber(1, 1_000_000),
    10_000,
    'HTTP and gRPC connections at a time; one more is closed',
  ),
  pullWaitMs: setting(duration(100, 100 * secondMs), 90 * secondMs, 'how long a pull waits for the first message'),
  logCacheBytesMax: setting(
    bytes(MiB, 16 * GiB),
    16 * MiB,
    'messages kept in memory for subscriptions that read along',
  ),
  retentionSweepMs: setting(
    duration(secondMs, 60 * minuteMs),
    30 * secondMs,
    'how often messages past their retention and expired subscriptions are looked for',
  ),
} satisfies Readonly<Record<string, Setting<unknown>>>;

export type SettingKey = keyof typeof settings;

/** The values of all settings. */
export type Settings = { readonly [K in SettingKey]: ValueOf<(typeof settings)[K]> };

type ValueOf<S> = S extends Defaulted<infer T> ? T : S extends Setting<infer T> ? T | undefined : never;

export const settingKeys = Object.keys(settings) as readonly SettingKey[];

/** The same table with the values' types set aside, for code that treats all settings alike. */
export function settingOf(key: SettingKey): Setting<unknown> {
  return settings[key];
}

/** `mqttPort` is `--mqtt-port`. */
export function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `mqttPort` is `HEADWATER_MQTT_PORT`. */
export function variableOf(key: string): string {
  return `HEADWATER_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}

function isPublicUrl(text: string): boolean {
  return /^https?:\/\/[A-Za-z0-9.[\]:-]+$/.test(text) && URL.canParse(text);
}

function isHost(text: string): boolean {
  return isIP(text) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(text);
}
