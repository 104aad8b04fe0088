import type { Given, Source } from './given.ts';
import { nearest } from './nearest.ts';
import { settingKeys, variableOf } from './settings.ts';

const prefix = 'HEADWATER_';
const keyByVariable = new Map(settingKeys.map((key) => [variableOf(key), key]));

/** Every `HEADWATER_…` variable is a setting; one that is set to nothing counts as not set. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Source {
  const given: Given[] = [];
  const problems: string[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(prefix) || !text) continue;
    const key = keyByVariable.get(name);
    if (key) given.push({ key, where: name, value: { text } });
    else problems.push(unknownVariable(name));
  }
  return { given, problems };
}

function unknownVariable(name: string): string {
  const meant = nearest(name, [...keyByVariable.keys()]);
  return `${name} is not a setting; ${meant ? `did you mean ${meant}?` : 'see --help for those there are.'}`;
}
