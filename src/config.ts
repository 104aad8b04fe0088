import { checkTogether } from './config/agreement.ts';
import { helpText, readCommandLine } from './config/command-line.ts';
import { noConfigFile, readConfigFile } from './config/config-file.ts';
import type { Declaration, JsonObject, TopicDeclaration } from './config/declared.ts';
import { readEnvironment } from './config/environment.ts';
import { decode, type Given } from './config/given.ts';
import { flagOf, type SettingKey, type Settings, settingKeys, settingOf } from './config/settings.ts';
import { PubSubError } from './domain/errors.ts';
import { checkRouteNames, parseRoute, type RouteDefinition } from './domain/route.ts';

/** Everything that was decided before the start; frozen. */
export interface Config extends Omit<Settings, 'store'> {
  /** May hold a password: shown by `withoutPassword` only. */
  readonly store: string;
  /** As the REST API writes them, to be created if missing. */
  readonly topics: readonly TopicDeclaration[];
  readonly subscriptions: readonly Declaration<JsonObject>[];
  /** Routes of the file; the default ones come after them when `defaultRoutes` is on. */
  readonly routes: readonly RouteDefinition[];
}

/** The start is off: one line for each thing that has to be put right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** The exit code of a start that `ConfigError` stopped: EX_USAGE of sysexits.h. */
export const configExitCode = 64;

export interface ConfigSources {
  /** Without the interpreter and the script. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

/**
 * Flags win over `HEADWATER_…` variables, these over the file, the file over the defaults. A value that loses is
 * checked all the same.
 * @returns the configuration, or the text that `--help` or `--version` asked for.
 * @throws ConfigError with every problem there is.
 */
export function readConfig({ args, env, version }: ConfigSources): { config: Config } | { print: string } {
  const flags = readCommandLine(args);
  if (flags.asked) return { print: flags.asked === 'help' ? helpText() : `${version}\n` };
  const variables = readEnvironment(env);
  const named = merge([...variables.given, ...flags.given]).decided.get('config')?.value as string | undefined;
  const file = named === undefined ? noConfigFile : readConfigFile(named);

  const { decided, problems } = merge([...file.given, ...variables.given, ...flags.given]);
  const settings = withDefaults(decided);
  const { topics, subscriptions, routes } = file.declared;
  const wrong = [
    ...flags.problems,
    ...variables.problems,
    ...file.problems,
    ...problems,
    ...checkTogether(settings, (key) => decided.get(key)?.where ?? flagOf(key)),
    ...checkRoutes(routes, settings.project),
  ];
  if (wrong.length > 0) throw new ConfigError(wrong);
  const store = settings.store ?? `lmdb:${settings.dataDir}`;
  return { config: freeze({ ...settings, store, topics, subscriptions, routes: routes.map(({ value }) => value) }) };
}

interface Decided {
  readonly where: string;
  readonly value: unknown;
}

/** @param given the later wins. */
function merge(given: readonly Given[]): { decided: ReadonlyMap<SettingKey, Decided>; problems: readonly string[] } {
  const decided = new Map<SettingKey, Decided>();
  const problems: string[] = [];
  for (const one of given) {
    const decoded = decode(one);
    if ('problem' in decoded) problems.push(decoded.problem);
    else decided.set(one.key, { where: one.where, value: decoded.value });
  }
  return { decided, problems };
}

function withDefaults(decided: ReadonlyMap<SettingKey, Decided>): Settings {
  const entries = settingKeys.map((key) => [key, decided.get(key)?.value ?? settingOf(key).fallback] as const);
  return Object.fromEntries(entries) as unknown as Settings; // the table gives each key the type of its value
}

function checkRoutes(routes: readonly Declaration<RouteDefinition>[], project: string): string[] {
  const each = routes.flatMap(({ where, value }) => refusalOf(where, () => parseRoute(value, project)));
  const names = refusalOf('routes', () => checkRouteNames(routes.map(({ value }) => value)));
  return [...each, ...names];
}

function refusalOf(where: string, check: () => unknown): string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof PubSubError)) throw error;
    return [`${where}: ${error.message}`];
  }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
