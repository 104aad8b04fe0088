import { InvalidArgumentError } from 'commander';
import type { MqttUrl } from './options.ts';
import { type ModelName, modelNames } from './sensor-models.ts';

// How the text behind a flag is read. Each reader throws InvalidArgumentError with a sentence that says what is allowed;
// commander puts the flag's name in front of it.

export function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Give a number from ${min} to ${max}.`);
    return value;
  };
}

export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    return value;
  };
}

export function oneOf<T extends number>(...allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const value = allowed.find((candidate) => String(candidate) === text);
    if (value === undefined) throw new InvalidArgumentError(`Give one of ${allowed.join(', ')}.`);
    return value;
  };
}

const msPerUnit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** @returns milliseconds */
export function duration(minMs: number): (text: string) => number {
  return (text) => {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
    const ms = Number(amount) * msPerUnit[(unit ?? 'ms') as keyof typeof msPerUnit];
    if (!(ms >= minMs && ms <= 7 * 24 * 3_600_000))
      throw new InvalidArgumentError('Give a time such as 500ms, 30s, 5m or 2h, at most 168h.');
    return ms;
  };
}

export function mqttUrl(text: string): MqttUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'mqtt:' || url.hostname === '')
    throw new InvalidArgumentError('Give a URL such as mqtt://127.0.0.1:1883; only mqtt:// is spoken.');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''), // an IPv6 address wears brackets in a URL only
    port: url.port === '' ? 1883 : Number(url.port),
    username: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
  };
}

export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new InvalidArgumentError('Give a URL such as http://127.0.0.1:8085.');
  return text.replace(/\/+$/, '');
}

/** MQTT-4.7.1-1 (no wildcards), -4.7.3-1 (at least one character), -4.7.3-2 (no NUL). */
export function topicPattern(text: string): string {
  if (!text.includes('{deviceId}'))
    throw new InvalidArgumentError('It must contain {deviceId}, so that every device has a topic of its own.');
  const filled = text.replaceAll('{deviceId}', '').replaceAll('{model}', '');
  if (/[+#{}\0]/.test(filled))
    throw new InvalidArgumentError('Besides {deviceId} and {model} it may not contain + # { } or NUL.');
  return text;
}

export function modelList(text: string): ModelName[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(modelNames as string[]).includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`There is no model '${unknown}'; give some of ${modelNames.join(',')}.`);
  return names as ModelName[];
}

/** It becomes part of client ids and of a subscription id. */
export function runIdentifier(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw new InvalidArgumentError('Give 1 to 64 letters, digits, - or _.');
  return text;
}
