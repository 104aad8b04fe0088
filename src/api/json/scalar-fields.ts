import { invalidArgument } from '../../domain/errors.ts';
import { type JsonField, wrongType } from './json-field.ts';

/** A string of Unicode text. JSON can spell half of a surrogate pair (`"\ud800"`), which no UTF-8 can carry: refused. */
export function text(description: string): JsonField<string> {
  return {
    schema: { type: 'string', description },
    read(value, at) {
      if (!isText(value)) throw notText(value, at);
      return value;
    },
  };
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

declare global {
  interface String {
    /** ECMAScript 2024: Node 20 has it, TypeScript's es2023 library does not. */
    isWellFormed(): boolean;
  }
}

function notText(value: unknown, at: string): Error {
  if (typeof value !== 'string') return wrongType(value, at, 'a string');
  return invalidArgument(`${at} holds half of a surrogate pair, which is not text; send well-formed Unicode.`);
}

export function flag(description: string): JsonField<boolean> {
  return {
    schema: { type: 'boolean', description },
    read(value, at) {
      if (typeof value !== 'boolean') throw wrongType(value, at, 'true or false');
      return value;
    },
  };
}

const decimal = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** proto3 JSON writes an int32 as a number and reads a number or a string, `1e2` included. */
export function int32(description: string): JsonField<number> {
  return {
    schema: { type: 'integer', format: 'int32', description },
    read(value, at) {
      const number = typeof value === 'string' && decimal.test(value) ? Number(value) : value;
      if (typeof number !== 'number' || (number | 0) !== number) throw wrongType(value, at, 'a whole number (int32)');
      return number;
    },
  };
}

export function textList(description: string): JsonField<readonly string[]> {
  return {
    schema: { type: 'array', items: { type: 'string' }, description },
    read(value, at) {
      if (!Array.isArray(value)) throw wrongType(value, at, 'an array of strings');
      for (let i = 0; i < value.length; i++) if (!isText(value[i])) throw notText(value[i], `${at}[${i}]`);
      return value;
    },
  };
}

type TextMap = Readonly<Record<string, string>>;

/** map<string, string> */
export function textMap(description: string): JsonField<TextMap> {
  return {
    schema: { type: 'object', additionalProperties: { type: 'string' }, description },
    read(value, at) {
      if (!isTextMap(value)) throw notTextMap(value, at);
      return value;
    },
  };
}

export function isTextMap(value: unknown): value is TextMap {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const key in value) if (!isText(key) || !isText((value as TextMap)[key])) return false;
  return true;
}

function notTextMap(value: unknown, at: string): Error {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return wrongType(value, at, 'an object whose values are strings');
  }
  const entries: [string, unknown][] = Object.entries(value);
  const [key, item] = entries.find((entry) => !entry.every(isText))!;
  return isText(key) ? notText(item, `${at}[${JSON.stringify(key)}]`) : notText(key, `a key of ${at}`);
}
