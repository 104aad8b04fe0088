import { PubSubError } from '../domain/errors.ts';
import type { Store } from '../store/store.ts';
import type { Placement } from './placement.ts';

/** One publish: what is to be stored, and, once it is, where. */
export interface PublishCall {
  readonly records: readonly Uint8Array[];
  /** What decides its partition: the ordering key, else the dedupe key. Undefined: any will do. */
  readonly key: string | undefined;
  readonly dedupe: string | undefined;
  /** Its place among the calls on its topic. */
  number: number;
  /** How often it was placed among too few partitions. */
  tries: number;
  partition: number;
  firstOffset: number;
}

export interface PublishCounts {
  messages: number;
  failures: number;
  /** Publishes that met a topic which had grown meanwhile. */
  placedAgain: number;
  /** Looks for a repetition's first in a partition from before a growth. */
  recalls: number;
}

export function publishCall(
  records: readonly Uint8Array[],
  orderingKey: string,
  dedupe: string | undefined,
): PublishCall {
  const key = orderingKey === '' ? dedupe : orderingKey;
  return { records, key, dedupe, number: 0, tries: 0, partition: 0, firstOffset: 0 };
}

/**
 * Offers a publish with a dedupe key to the partitions that it would have had before its topic grew. A log there knows
 * the key: it is a duplicate. Or the offer is ABORTED: the key is not there, and can never get there any more. Should
 * the growth not have reached that log yet, it takes the message; that is as good.
 *
 * @returns whether it is stored by now; the call then says where.
 */
export async function recall(
  store: Store,
  call: PublishCall,
  placement: Placement,
  counts: PublishCounts,
): Promise<boolean> {
  const { key, dedupe, records } = call;
  if (key === undefined || dedupe === undefined) return false;
  for (const { partition, among } of placement.earlierOf(key)) {
    counts.recalls++;
    const offer = store.append(placement.logs[partition]!, records, dedupe, among);
    const appended = await offer.catch((error: unknown) => {
      if (!isAborted(error)) throw error;
    });
    if (!appended) continue;
    call.partition = partition;
    call.firstOffset = appended.firstOffset;
    return true;
  }
  return false;
}

export function isAborted(error: unknown): boolean {
  return error instanceof PubSubError && error.code === 'ABORTED';
}
