import { invalidArgument } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';

/** What a path under /v1 names, and the shape by which its methods are found. */
export interface ResourcePath {
  // `projects/*/topics/*:publish`: ids as stars, the verb behind the colon.
  readonly shape: string;
  /** Up to the last id: `projects/p/topics/t`; of a collection its parent, `projects/p`. */
  readonly name: string;
}

/**
 * Takes a path apart as it came over the wire. Ids may hold `~ + %`, so each is percent-decoded exactly once, after
 * splitting; whatever would then read as another path (`/`, `.`, `..`, nothing) is refused rather than normalised.
 * @param path behind `/v1/`, without the query.
 * @throws PubSubError INVALID_ARGUMENT
 */
export function parseResourcePath(path: string): ResourcePath {
  const segments = path.split('/');
  const verb = takeVerb(segments);
  const ids: string[] = [];
  const shape: string[] = [];
  segments.forEach((segment, i) => {
    const isId = i % 2 === 1;
    ids.push(isId ? decodeId(segment) : segment);
    shape.push(isId ? '*' : segment);
  });
  const nameLength = ids.length - (ids.length % 2);
  return { shape: shape.join('/') + verb, name: ids.slice(0, nameLength).join('/') };
}

/** A verb stands behind the last colon of the path; ids hold no colon, project ids may, but are never last. */
function takeVerb(segments: string[]): string {
  const last = segments.length - 1;
  const colon = segments[last]!.lastIndexOf(':');
  if (colon < 0) return '';
  const verb = segments[last]!.slice(colon);
  segments[last] = segments[last]!.slice(0, colon);
  return verb;
}

function decodeId(segment: string): string {
  const id = percentDecoded(segment);
  if (id === '' || id === '.' || id === '..' || id.includes('/')) {
    throw invalidArgument(`The path has ${quote(segment)} where an id belongs.`);
  }
  return id;
}

function percentDecoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalidArgument(`${quote(segment)} in the path is not percent-encoded UTF-8; write a percent sign as %25.`);
  }
}
