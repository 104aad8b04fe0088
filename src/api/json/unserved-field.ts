import { PubSubError } from '../../domain/errors.ts';
import { camelCase, type JsonField, type JsonFields } from './json-field.ts';

/**
 * A field of Pub/Sub that Headwater knows and does not serve. Clients send the empty value of such fields all the time
 * (`pushConfig: {}`), which asks for nothing; any other value is refused with UNIMPLEMENTED rather than accepted and
 * ignored.
 */
export interface UnservedField extends JsonField<undefined> {
  readonly unserved: true;
}

/** @param sentence what the user can do instead, in one sentence. */
export function unserved(sentence: string): UnservedField {
  return {
    unserved: true,
    schema: { description: `Not served: ${sentence}` },
    read(value, at) {
      if (!isEmpty(value, depthMax)) throw new PubSubError('UNIMPLEMENTED', `${at} is not served: ${sentence}`);
      return undefined;
    },
  };
}

/** A field that only the server sets: Pub/Sub ignores it in requests, and so does Headwater. */
export function outputOnly(description: string): JsonField<undefined> {
  return { schema: { readOnly: true, description }, read: () => undefined };
}

/**
 * Takes fields that are not served out of an update mask: what may only be empty stays empty. (Setting a value would
 * have failed when the body was read.)
 */
export function withoutUnserved(paths: readonly string[], fields: JsonFields): readonly string[] {
  return paths.filter((path) => {
    const field = fields[camelCase(path.split('.', 1)[0]!)];
    return field === undefined || !('unserved' in field);
  });
}

/** The deepest of Pub/Sub's configurations has four levels; a bound so that nested input cannot exhaust the stack. */
const depthMax = 8;

function isEmpty(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null)
    return value === '' || value === 0 || value === false || value === null;
  if (Array.isArray(value)) return value.length === 0;
  return depth > 0 && Object.values(value).every((item) => isEmpty(item, depth - 1));
}
