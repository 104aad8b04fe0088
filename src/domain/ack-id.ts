import { invalidArgument } from './errors.ts';
import { quote } from './quote.ts';

/**
 * Everything that an acknowledgement needs to find one delivery of one message again, on any node, without a table:
 *
 *     {subscriptionId}.{partition}.{epoch}.{block}.{index}.{offset}.{attempt}     numbers in base 36
 *
 * Clients see an opaque text. The numbers are read from the end, so the subscription id may hold any character.
 */
export interface AckId {
  /** The store's internal id: an ack id does not outlive its subscription. */
  readonly subscriptionId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly block: number;
  readonly index: number;
  readonly offset: number;
  /** Which delivery this was, so that the last one can be recognised when it is given back. */
  readonly attempt: number;
}

const radix = 36;
const numbers = 6;
const charsMax = 512;

/** The part that all messages of a lease block share. */
export function ackIdPrefix(subscriptionId: string, partition: number, epoch: number, block: number): string {
  return `${subscriptionId}.${partition.toString(radix)}.${epoch.toString(radix)}.${block.toString(radix)}.`;
}

/** @param prefix of `ackIdPrefix` */
export function formatAckId(prefix: string, index: number, offset: number, attempt: number): string {
  return `${prefix}${index.toString(radix)}.${offset.toString(radix)}.${attempt.toString(radix)}`;
}

/** @throws PubSubError INVALID_ARGUMENT unless `formatAckId` could have made it. */
export function parseAckId(text: string): AckId {
  const found: number[] = [];
  let end = text.length > charsMax ? 0 : text.length;
  while (found.length < numbers) {
    const dot = text.lastIndexOf('.', end - 1);
    const number = dot < 0 ? -1 : parseNumber(text, dot + 1, end);
    if (number < 0) throw malformed(text);
    found.push(number);
    end = dot;
  }
  if (end === 0) throw malformed(text);
  const [attempt, offset, index, block, epoch, partition] = found as [number, number, number, number, number, number];
  return { subscriptionId: text.slice(0, end), partition, epoch, block, index, offset, attempt };
}

/** -1 unless `text[from..end)` is a base 36 number as `toString` writes it. */
function parseNumber(text: string, from: number, end: number): number {
  if (from >= end || (text.charCodeAt(from) === zero && end - from > 1)) return -1;
  let number = 0;
  for (let at = from; at < end; at++) {
    const digit = digitOf(text.charCodeAt(at));
    if (digit < 0) return -1;
    number = number * radix + digit;
  }
  return Number.isSafeInteger(number) ? number : -1;
}

const zero = 48;
const nine = 57;
const letterA = 97;
const letterZ = 122;

function digitOf(code: number): number {
  if (code >= zero && code <= nine) return code - zero;
  return code >= letterA && code <= letterZ ? code - letterA + 10 : -1;
}

function malformed(text: string) {
  return invalidArgument(`${quote(text)} is not an ack id; pass ack ids exactly as they were received.`);
}
