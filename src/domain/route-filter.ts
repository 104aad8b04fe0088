import { invalidArgument } from './errors.ts';

/** What a filter took out of an MQTT topic, by name. */
export type Captures = ReadonlyMap<string, string>;

/**
 * An MQTT topic filter (MQTT-4.7) whose wildcards may have names:
 *
 *     devices/{deviceId}/events/{subFolder#}
 *
 * `+` and `{name}` stand for exactly one level; `#` and `{name#}` come last and stand for any number of levels, none
 * included. `$` topics belong to the server and match nothing here.
 */
export interface RouteFilter {
  readonly text: string;
  /** Without the trailing `#`. */
  readonly levels: readonly FilterLevel[];
  /** Present when the filter ends in `#` or `{name#}`. */
  readonly rest?: Wildcard;
}

type FilterLevel = { readonly literal: string } | Wildcard;

/** `capture` is its name; an unnamed one is not kept. */
interface Wildcard {
  readonly capture: string | undefined;
}

const topicBytesMax = 65_535; // MQTT-1.5.4: a UTF-8 string has a two-byte length
const capturePattern = /^\{([A-Za-z][A-Za-z0-9_]*)(#?)\}$/;
const syntax = 'a level is plain text, + or {name}, and the last one may be # or {name#}';

/** @throws PubSubError INVALID_ARGUMENT one sentence: what is wrong, what is allowed. */
export function parseRouteFilter(text: string): RouteFilter {
  if (text === '') throw invalidArgument(`The filter is empty; ${syntax}.`);
  if (Buffer.byteLength(text) > topicBytesMax) {
    throw invalidArgument(`The filter has more than ${topicBytesMax} bytes, which no MQTT topic can have.`);
  }
  if (text.startsWith('$')) {
    throw invalidArgument(`The filter "${text}" starts with $; such topics are the server's own and are not routed.`);
  }
  const parsed = text.split('/').map((level) => parseLevel(level, text));
  checkNamesDiffer(parsed, text);
  const misplaced = parsed.findIndex((level, i) => level.rest && i < parsed.length - 1);
  if (misplaced >= 0) throw invalidArgument(`The filter "${text}" goes on after its multi-level wildcard; ${syntax}.`);
  const last = parsed.at(-1)!;
  const levels = parsed.map(({ level }) => level);
  return last.rest ? { text, levels: levels.slice(0, -1), rest: last.level as Wildcard } : { text, levels };
}

interface ParsedLevel {
  readonly level: FilterLevel;
  readonly rest: boolean;
}

function parseLevel(text: string, filter: string): ParsedLevel {
  if (text === '+') return { level: { capture: undefined }, rest: false };
  if (text === '#') return { level: { capture: undefined }, rest: true };
  const named = capturePattern.exec(text);
  if (named) return { level: { capture: named[1] }, rest: named[2] === '#' };
  if (/[+#{}]|\p{Surrogate}/u.test(text) || text.includes('\0')) {
    throw invalidArgument(`The level ${JSON.stringify(text)} of filter "${filter}" is not allowed; ${syntax}.`);
  }
  return { level: { literal: text }, rest: false };
}

function checkNamesDiffer(parsed: readonly ParsedLevel[], filter: string): void {
  const seen = new Set<string>();
  for (const { level } of parsed) {
    if (!('capture' in level) || level.capture === undefined) continue;
    if (seen.has(level.capture)) {
      throw invalidArgument(`The filter "${filter}" names two levels {${level.capture}}; each name is used once.`);
    }
    seen.add(level.capture);
  }
}

/**
 * @param topic an MQTT topic name, cut at its slashes.
 * @returns what the named wildcards stand for, or undefined when the filter does not match.
 */
export function matchRouteFilter(filter: RouteFilter, topic: readonly string[]): Captures | undefined {
  const { levels, rest } = filter;
  if (topic[0]!.startsWith('$')) return undefined; // MQTT-4.7.2-1, and no filter starts with $
  if (rest ? topic.length < levels.length : topic.length !== levels.length) return undefined;
  const captures = new Map<string, string>();
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if ('literal' in level) {
      if (level.literal !== topic[i]) return undefined;
    } else if (level.capture !== undefined) captures.set(level.capture, topic[i]!);
  }
  // `a/#` matches `a` too (MQTT-4.7.1.2), so the rest may be empty.
  if (rest?.capture !== undefined) captures.set(rest.capture, topic.slice(levels.length).join('/'));
  return captures;
}

/** The names of the one-level captures. */
export function levelCaptures(filter: RouteFilter): string[] {
  return filter.levels.flatMap((level) => ('capture' in level && level.capture !== undefined ? [level.capture] : []));
}

/** The name of the multi-level capture, if there is one. */
export function restCapture(filter: RouteFilter): string[] {
  return filter.rest?.capture === undefined ? [] : [filter.rest.capture];
}
