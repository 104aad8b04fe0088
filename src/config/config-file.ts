import { readFileSync } from 'node:fs';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { type Declared, declaredKeys, type JsonObject, nothingDeclared, readDeclared, type Where } from './declared.ts';
import type { Given, Source } from './given.ts';
import { nearest } from './nearest.ts';
import { isSettingKey, settingKeys } from './settings.ts';

export interface ConfigFile extends Source {
  readonly declared: Declared;
}

export const noConfigFile: ConfigFile = { given: [], declared: nothingDeclared, problems: [] };

/** Reads the YAML file at `path`; whatever is wrong with it becomes a problem with its line. */
export function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? error.code : error;
    return { ...noConfigFile, problems: [`The configuration file ${path} cannot be read: ${why}.`] };
  }
  return parseConfigFile(path, text);
}

function parseConfigFile(path: string, text: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const broken = document.errors.map((error) => `${at(error.pos[0])} is not valid YAML: ${error.message}`);
  if (broken.length > 0) return { ...noConfigFile, problems: broken };
  if (document.contents === null) return noConfigFile;
  if (!isMap(document.contents)) return { ...noConfigFile, problems: [`${path} must hold lines of "key: value".`] };
  try {
    return readEntries(document.toJS() as JsonObject, (key, index) => locate(document, key, index, at));
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error; // aliases that unfold to too much
    return { ...noConfigFile, problems: [`${path} is not valid YAML: ${error.message}.`] };
  }
}

function locate(document: Document, key: string, index: number | undefined, at: (offset: number) => string): string {
  const pairs = isMap(document.contents) ? document.contents.items : [];
  const named = pairs.map((pair) => pair.key).find((node) => isScalar(node) && String(node.value) === key);
  const node = index === undefined ? named : document.getIn([key, index], true);
  const line = at(isNode(node) ? (node.range?.[0] ?? 0) : 0);
  return index === undefined ? `${line} ${key}` : `${line} ${key}[${index}]`;
}

function readEntries(values: JsonObject, where: Where): ConfigFile {
  const given: Given[] = [];
  const problems: string[] = [];
  for (const [key, typed] of Object.entries(values)) {
    if (key === 'config') problems.push(`${where(key)} has no meaning in the file itself; remove it.`);
    else if (isSettingKey(key)) given.push({ key, where: where(key), value: { typed } });
    else if (!declaredKeys.some((declared) => declared === key)) problems.push(unknownKey(key, where(key)));
  }
  const { declared, problems: misshapen } = readDeclared(values, where);
  return { given, declared, problems: [...problems, ...misshapen] };
}

function unknownKey(key: string, where: string): string {
  const meant = nearest(key, [...settingKeys.filter((known) => known !== 'config'), ...declaredKeys]);
  return `${where} is not a setting; ${meant ? `did you mean ${meant}?` : 'see --help for those there are.'}`;
}
