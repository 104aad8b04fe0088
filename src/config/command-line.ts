import { Command, CommanderError, Option } from 'commander';
import { quote } from '../domain/quote.ts';
import type { Given, Source } from './given.ts';
import { nearest } from './nearest.ts';
import { flagOf, type SettingKey, settingKeys, settingOf, variableOf } from './settings.ts';
import { withoutPassword } from './store-url.ts';

export interface CommandLine extends Source {
  /** What to print instead of starting. */
  readonly asked: 'help' | 'version' | undefined;
}

const about = `Devices publish over MQTT; back ends pull over the Google Cloud Pub/Sub API.

Each setting is a flag, an environment variable, or a key of the file given by --config (mqttPort for --mqtt-port);
a flag wins over the variable, the variable over the file. Sizes are bytes or take B kB MB GB KiB MiB GiB, durations are
milliseconds or take ms s m h d.`;

/** @param args without the interpreter and the script. */
export function readCommandLine(args: readonly string[]): CommandLine {
  const given: Given[] = [];
  const program = createProgram();
  for (const key of settingKeys) {
    const take = (text: string | null) => given.push({ key, where: flagOf(key), value: { text: text ?? 'true' } });
    program.on(`option:${flagOf(key).slice('--'.length)}`, take);
  }
  const problems = parse(program, args);
  const { help, version } = program.opts<{ help?: true; version?: true }>();
  return { given, problems, asked: help ? 'help' : version ? 'version' : undefined };
}

export function helpText(): string {
  return createProgram().helpInformation();
}

function createProgram(): Command {
  const program = new Command('headwater').description(about).helpOption(false).exitOverride();
  program.configureOutput({ writeErr: () => undefined }).configureHelp({ helpWidth: 120 });
  for (const key of settingKeys) program.addOption(optionOf(key));
  return program.option('-h, --help', 'print this').option('-V, --version', 'print the version');
}

function optionOf(key: SettingKey): Option {
  const { kind, help, fallback, fallbackText } = settingOf(key);
  const shown = fallback === undefined ? fallbackText : kind.show(fallback);
  return new Option(`${flagOf(key)} ${kind.placeholder}`, `${help} (default: ${shown}, env: ${variableOf(key)})`);
}

/** Commander stops at a flag without its value, which can only be the last word; everything else it hands back. */
function parse(program: Command, args: readonly string[]): string[] {
  try {
    const { operands, unknown } = program.parseOptions([...args]);
    return [...operands.map(unexpected), ...unknownFlags(unknown)];
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const flag = args.at(-1)!;
    return [...parse(createProgram(), args.slice(0, -1)), `${flag} needs a value; see --help.`];
  }
}

function unexpected(word: string): string {
  return `${quote(withoutPassword(word))} is not expected here; every setting is a flag, see --help.`;
}

/** After an unknown flag commander files plain words as unknown too: the first is taken for the flag's value. */
function unknownFlags(unknown: readonly string[]): string[] {
  return unknown.flatMap((word, i) => {
    if (word.startsWith('-')) return [unknownFlag(word)];
    return unknown[i - 1]?.startsWith('-') ? [] : [unexpected(word)];
  });
}

function unknownFlag(word: string): string {
  const flag = word.split('=')[0]!;
  const meant = nearest(flag, [...settingKeys.map(flagOf), '--help', '--version']);
  return `${flag} is not a flag; ${meant ? `did you mean ${meant}?` : 'see --help for those there are.'}`;
}
