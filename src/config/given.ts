import { quote } from '../domain/quote.ts';
import { type SettingKey, settingOf } from './settings.ts';
import { withoutPassword } from './store-url.ts';

/** A value that somebody gave to a setting. */
export interface Given {
  readonly key: SettingKey;
  /** How the giver would name it: `--mqtt-port`, `HEADWATER_MQTT_PORT`, `headwater.yaml:3 mqttPort`. */
  readonly where: string;
  /** Flags and environment variables are text; the file has types. */
  readonly value: { readonly text: string } | { readonly typed: unknown };
}

/** What one source had to say, and what is wrong with it: one line each. */
export interface Source {
  readonly given: readonly Given[];
  readonly problems: readonly string[];
}

/** @returns the setting's value, or one line that says what is allowed instead. */
export function decode(given: Given): { readonly value: unknown } | { readonly problem: string } {
  const { kind } = settingOf(given.key);
  const value = 'text' in given.value ? kind.fromText(given.value.text) : kind.fromFile(given.value.typed);
  if (value !== undefined) return { value };
  return { problem: `${given.where} is ${shown(given)}; it must be ${kind.allowed}.` };
}

/** A password stays out of error messages, whatever is wrong with the address that it is part of. */
function shown({ key, value }: Given): string {
  const secret = key === 'store' ? withoutPassword : withoutLogin;
  if ('text' in value) return quote(secret(value.text));
  return typed(typeof value.typed === 'string' ? secret(value.typed) : value.typed);
}

/** An address that was given to the wrong setting. */
function withoutLogin(text: string): string {
  return text.replace(/\/\/.*@/s, '//…@');
}

function typed(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? `the text ${quote(value)}` : String(value);
}
