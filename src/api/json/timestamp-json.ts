import { minuteMs } from '../../domain/duration.ts';
import { type JsonField, wrongType } from './json-field.ts';

const pattern = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):([0-5]\d))$/;

/** google.protobuf.Timestamp as JSON: RFC 3339. Headwater keeps milliseconds: finer digits are dropped. */
export function timestamp(description: string): JsonField<number> {
  return { schema: { type: 'string', format: 'date-time', description }, read: timestampMsFromJson };
}

/** @returns Unix epoch, ms */
export function timestampMsFromJson(value: unknown, at: string): number {
  const parts = typeof value === 'string' ? pattern.exec(value) : null;
  const ms = parts ? dateMs(parts[1]!) : Number.NaN;
  if (!parts || Number.isNaN(ms)) throw wrongType(value, at, 'an RFC 3339 time such as "2026-11-21T09:30:00.250Z"');
  const [, , fraction = '', sign, hours = '0', minutes = '0'] = parts;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * minuteMs;
  return ms + Number(fraction.padEnd(3, '0').slice(0, 3)) + (sign === '-' ? offsetMs : -offsetMs);
}

/** NaN when the calendar has no such day or the day no such hour; `Date.parse` alone takes 30 February for 2 March. */
function dateMs(dateTime: string): number {
  const ms = Date.parse(`${dateTime}Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(dateTime) ? ms : Number.NaN;
}

/** As proto3 JSON prints it: no fraction when there is none. */
export function timestampToJson(ms: number): string {
  const full = new Date(ms).toISOString();
  return ms % 1000 === 0 ? `${full.slice(0, 19)}Z` : full;
}
