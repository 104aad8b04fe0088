import { invalidArgument } from '../domain/errors.ts';
import { quote } from '../domain/quote.ts';
import type { Page, PageRequest } from '../store/store.ts';
import type { Listed, PageOptions } from './pubsub.ts';

const pageSizeDefault = 100;
/** As in Pub/Sub, a larger page size is cut to this. */
const pageSizeMax = 1000;

/**
 * A page token is the last name of the page before, in base64url.
 * @param prefix all names of the list start with it.
 * @throws PubSubError INVALID_ARGUMENT a negative page size, a token of another list.
 */
export function pageRequest(prefix: string, { pageSize, pageToken }: PageOptions): PageRequest {
  if (!Number.isInteger(pageSize) || pageSize < 0) {
    throw invalidArgument(
      `The page size ${pageSize} is not allowed; use 1 to ${pageSizeMax}, or 0 for ${pageSizeDefault}.`,
    );
  }
  const limit = pageSize === 0 ? pageSizeDefault : Math.min(pageSize, pageSizeMax);
  return pageToken === '' ? { prefix, limit } : { prefix, limit, after: nameInToken(prefix, pageToken) };
}

export function listed<T>(page: Page<T>, nameOf: (item: T) => string): Listed<T> {
  const last = page.items.at(-1);
  const nextPageToken = page.more && last !== undefined ? Buffer.from(nameOf(last)).toString('base64url') : '';
  return { items: page.items, nextPageToken };
}

/** One page of names that are all at hand. */
export function pageOfNames(names: readonly string[], options: PageOptions): Listed<string> {
  const { after, limit } = pageRequest('', options);
  const rest = after === undefined ? names : names.filter((name) => name > after);
  return listed({ items: rest.slice(0, limit), more: rest.length > limit }, (name) => name);
}

function nameInToken(prefix: string, pageToken: string): string {
  const name = Buffer.from(pageToken, 'base64url').toString();
  if (name.startsWith(prefix) && Buffer.from(name).toString('base64url') === pageToken) return name;
  throw invalidArgument(
    `${quote(pageToken)} is not a page token of this list; pass the nextPageToken of the page before.`,
  );
}
