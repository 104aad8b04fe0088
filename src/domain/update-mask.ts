import { invalidArgument } from './errors.ts';
import { quote } from './quote.ts';

/** Which fields of a resource an update may name (google.protobuf.FieldMask paths, proto names), and where they live. */
export interface Updatable<T> {
  readonly noun: string;
  readonly fieldByPath: Readonly<Record<string, keyof T>>;
  /** Paths that name a real field which is settled at creation. */
  readonly immutable: readonly string[];
}

/**
 * `current` with the fields that `paths` names taken from `wanted`; a field that is absent there becomes unset.
 * Only whole fields can be named: `retry_policy`, not `retry_policy.minimum_backoff`.
 * @throws PubSubError INVALID_ARGUMENT an empty mask, an unknown path or an immutable one.
 */
export function applyUpdateMask<T extends object>(
  updatable: Updatable<T>,
  current: T,
  wanted: T,
  paths: readonly string[],
): T {
  if (paths.length === 0) {
    throw invalidArgument(`The update mask is empty; name the fields to change: ${allowed(updatable)}.`);
  }
  const next = { ...current };
  for (const path of paths) {
    const field = fieldOf(updatable, path);
    if (wanted[field] === undefined) delete next[field];
    else next[field] = wanted[field];
  }
  return next;
}

function fieldOf<T>(updatable: Updatable<T>, path: string): keyof T {
  const { noun, fieldByPath, immutable } = updatable;
  if (Object.hasOwn(fieldByPath, path)) return fieldByPath[path]!;
  if (immutable.includes(path)) {
    throw invalidArgument(`The field ${path} of a ${noun} cannot be changed once it exists; create another ${noun}.`);
  }
  throw invalidArgument(
    `The update mask names ${quote(path)}, which is not a field of a ${noun} that can be changed; allowed are ${allowed(updatable)}.`,
  );
}

function allowed<T>({ fieldByPath }: Updatable<T>): string {
  return Object.keys(fieldByPath).join(', ');
}
