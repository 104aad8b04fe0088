import type { Listed, PageOptions } from '../../pubsub/pubsub.ts';
import type { JsonObject } from '../json/json-field.ts';
import { int32, text } from '../json/scalar-fields.ts';

/** The query of every list method. */
export const pageFields = {
  pageSize: int32('Most items in one page; 0 or unset: the default.'),
  pageToken: text('nextPageToken of the page before.'),
};

export function pageOf({ pageSize = 0, pageToken = '' }: JsonObject<typeof pageFields>): PageOptions {
  return { pageSize, pageToken };
}

/** A list reply as proto3 JSON prints it: without what is empty. */
export function listReply<T>(field: string, { items, nextPageToken }: Listed<T>, toJson: (item: T) => unknown): object {
  return {
    ...(items.length > 0 && { [field]: items.map(toJson) }),
    ...(nextPageToken !== '' && { nextPageToken }),
  };
}
