import { secondMs } from '../../domain/duration.ts';
import { type JsonField, wrongType } from './json-field.ts';

const pattern = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

/**
 * google.protobuf.Duration as JSON: decimal seconds with an `s` (`"600s"`, `"1200.5s"`). Headwater keeps milliseconds:
 * finer digits are dropped.
 */
export function duration(description: string): JsonField<number> {
  return { schema: { type: 'string', format: 'google-duration', description }, read: durationMsFromJson };
}

export function durationMsFromJson(value: unknown, at: string): number {
  const parts = typeof value === 'string' ? pattern.exec(value) : null;
  if (!parts) throw wrongType(value, at, 'a duration in seconds such as "600s" or "1200.5s"');
  const [, sign, seconds, fraction = ''] = parts;
  const ms = Number(seconds) * secondMs + Number(fraction.padEnd(3, '0').slice(0, 3));
  return sign === '-' ? -ms : ms;
}

/** `600s`; milliseconds as three digits, as proto3 JSON prints them (`1200.500s`). */
export function durationToJson(ms: number): string {
  return ms % secondMs === 0 ? `${ms / secondMs}s` : `${(ms / secondMs).toFixed(3)}s`;
}
