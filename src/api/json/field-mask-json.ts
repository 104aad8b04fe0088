import { invalidArgument } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import { type JsonField, snakeCase, wrongType } from './json-field.ts';

const path = /^[A-Za-z0-9_.]+$/;

/** google.protobuf.FieldMask as JSON: paths with commas between them, camelCase or snake_case. @returns proto names */
export function fieldMask(description: string): JsonField<readonly string[]> {
  return { schema: { type: 'string', format: 'google-fieldmask', description }, read: fieldMaskFromJson };
}

export function fieldMaskFromJson(value: unknown, at: string): readonly string[] {
  if (typeof value !== 'string') throw wrongType(value, at, 'field names with commas between them, such as "labels"');
  const paths = value.split(',').map((each) => each.trim());
  if (paths.length === 1 && paths[0] === '') return [];
  for (const each of paths) {
    if (!path.test(each)) throw invalidArgument(`${at} holds ${quote(each)}, which is not the name of a field.`);
  }
  return [...new Set(paths.map(snakeCase))];
}
