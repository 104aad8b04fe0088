import type { AckResult } from '../pubsub/pubsub.ts';
import { DetailedError } from './detailed-error.ts';

// What Google's clients look for in the metadata: `PERMANENT_FAILURE_INVALID_ACK_ID` ends the ack id, anything that
// starts with `TRANSIENT_` is tried again.
const metadataByResult = {
  invalid: 'PERMANENT_FAILURE_INVALID_ACK_ID',
  unordered: 'TRANSIENT_FAILURE_UNORDERED_ACK_ID',
} as const;

/**
 * Throws unless every ack id of a unary acknowledge or modifyAckDeadline was settled. The others of the request *are*
 * settled; the error names the ones that are not (exactly-once subscriptions only).
 * @throws DetailedError INVALID_ARGUMENT when an ack id is no longer valid (cloud.google.com/pubsub/docs/exactly-once-delivery:
 *   "requests return an INVALID_ARGUMENT response"); FAILED_PRECONDITION when some only came out of order.
 */
export function checkSettled(ackIds: readonly string[], results: readonly AckResult[]): void {
  const failures = new Map<string, string>();
  let invalid = false;
  results.forEach((result, i) => {
    if (result === 'ok') return;
    failures.set(ackIds[i]!, metadataByResult[result]);
    invalid ||= result === 'invalid';
  });
  if (failures.size === 0) return;
  const info = {
    reason: 'EXACTLY_ONCE_ACKID_FAILURE',
    domain: 'pubsub.googleapis.com',
    metadata: Object.fromEntries(failures),
  };
  if (invalid) throw new DetailedError('INVALID_ARGUMENT', `${failures.size} of ${ackIds.length} ${expired}`, info);
  throw new DetailedError('FAILED_PRECONDITION', `${failures.size} of ${ackIds.length} ${unordered}`, info);
}

const expired =
  'ack ids are no longer valid: their deadline has passed or they were settled before. Nothing was changed for them; the messages will come again with new ack ids unless they were acked.';
const unordered =
  'ack ids came ahead of an earlier message with the same ordering key. Acknowledge that one first, then try these again.';
