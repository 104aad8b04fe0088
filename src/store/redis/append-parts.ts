import { packRecords } from '../../domain/batch.ts';
import type { Appended } from '../store.ts';
import type { Argument } from './link.ts';

/** One call of `append`, until it is answered. */
export interface Append {
  readonly records: readonly Uint8Array[];
  /** Packed. */
  readonly bytes: number;
  readonly dedupe: string | undefined;
  readonly placedAmong: number; // 0: any
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: Error) => void;
}

/** Appends that go to the script as one piece, because it need not tell them apart. */
export interface Part {
  readonly appends: Append[];
  readonly placedAmong: number;
  readonly dedupe: string | undefined;
  bytes: number;
}

/**
 * In the order given. One with a dedupe key is a part of its own: it may turn out to be a repetition and drop out. The
 * script may put several parts into one batch.
 * @param bytesMax of a part that has more than one append
 */
export function partsOf(appends: readonly Append[], bytesMax: number): Part[] {
  const parts: Part[] = [];
  for (const it of appends) {
    const last = parts.at(-1);
    if (last && belongs(last, it) && last.bytes + it.bytes <= bytesMax) {
      last.appends.push(it);
      last.bytes += it.bytes;
    } else {
      parts.push({ appends: [it], placedAmong: it.placedAmong, dedupe: it.dedupe, bytes: it.bytes });
    }
  }
  return parts;
}

/** As `append.lua` takes it. */
export function argumentsOf({ appends, placedAmong, dedupe }: Part): Argument[] {
  const records = appends.length === 1 ? appends[0]!.records : appends.flatMap((it) => it.records);
  return [records.length, placedAmong, dedupe ?? '', packRecords(records)];
}

function belongs(part: Part, { dedupe, placedAmong }: Append): boolean {
  return part.dedupe === undefined && dedupe === undefined && part.placedAmong === placedAmong;
}
