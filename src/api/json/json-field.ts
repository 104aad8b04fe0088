import { invalidArgument } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';

/** The part of JSON Schema that /openapi.json needs. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * How one field of a request is read from proto3 JSON, and how /openapi.json describes it. A field that is `null` in
 * the JSON counts as absent and is never read (protobuf.dev/programming-guides/json).
 */
export interface JsonField<T> {
  readonly schema: JsonSchema;
  /**
   * @param at the field as the caller knows it (`subscription.retryPolicy.minimumBackoff`), for the error.
   * @throws PubSubError INVALID_ARGUMENT: the field, what it holds, what is allowed.
   */
  read(value: unknown, at: string): T;
}

export type JsonFields = Readonly<Record<string, JsonField<unknown>>>;

/** What `readObject` makes of an object: only what was there. */
export type JsonObject<F extends JsonFields> = {
  readonly [Name in keyof F]?: F[Name] extends JsonField<infer T> ? Exclude<T, undefined> : never;
};

/**
 * Reads an object whose fields are all known. Names may be lowerCamelCase or the proto's own snake_case.
 * @throws PubSubError INVALID_ARGUMENT: not an object, an unknown field, a field given twice, or what a field says.
 */
export function readObject<F extends JsonFields>(value: unknown, at: string, fields: F): JsonObject<F> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(value, at, 'a JSON object');
  const read: Record<string, unknown> = {};
  for (const [given, item] of Object.entries(value)) {
    const name = nameOf(fields, given);
    if (name === undefined) throw unknownField(fields, join(at, given));
    if (item === null) continue;
    if (Object.hasOwn(read, name)) throw invalidArgument(`The field ${quote(join(at, name))} is given twice.`);
    const result = fields[name]!.read(item, join(at, name));
    if (result !== undefined) read[name] = result;
  }
  return read as JsonObject<F>;
}

/** A nested object. */
export function object<F extends JsonFields>(fields: F): JsonField<JsonObject<F>> {
  return { schema: objectSchema(fields), read: (value, at) => readObject(value, at, fields) };
}

export function objectSchema(fields: JsonFields): JsonSchema {
  const properties = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.schema]));
  return { type: 'object', properties, additionalProperties: false };
}

/** The refusal of a value of another JSON type. */
export function wrongType(value: unknown, at: string, wanted: string): Error {
  return invalidArgument(`${at === '' ? 'The body' : at} must be ${wanted}, not ${described(value)}.`);
}

function unknownField(fields: JsonFields, at: string): Error {
  const known = Object.keys(fields).join(', ');
  return invalidArgument(
    `Unknown field ${quote(at)}; ${known === '' ? 'no field is known here' : `known here: ${known}`}.`,
  );
}

function nameOf(fields: JsonFields, given: string): string | undefined {
  if (Object.hasOwn(fields, given)) return given;
  const name = camelCase(given);
  return name !== given && Object.hasOwn(fields, name) && snakeCase(name) === given ? name : undefined;
}

export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function join(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

function described(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}
