import { type AckId, parseAckId } from '../domain/ack-id.ts';
import { invalidArgument } from '../domain/errors.ts';
import { quote } from '../domain/quote.ts';
import type { Outcome, SubscriptionPartition } from '../store/store.ts';
import type { Definition } from './definition.ts';
import type { AckResult } from './pubsub.ts';

/** Ack ids of one request that go to the store together. */
interface Group {
  readonly partition: number;
  readonly lastAttempt: boolean;
  readonly refs: AckId[];
  /** Where each stood in the request. */
  readonly positions: number[];
}

/** @param lastAttempt the next delivery of these would be one too many for the dead-letter policy. */
export type Settle = (
  at: SubscriptionPartition,
  refs: readonly AckId[],
  lastAttempt: boolean,
) => Promise<readonly Outcome[]>;

/**
 * Has the store settle what the ack ids stand for, and answers one result per id, in order.
 * @throws INVALID_ARGUMENT no ack ids, a malformed one, one of another subscription: nothing was settled.
 */
export async function settleAckIds(
  definition: Definition,
  ackIds: readonly string[],
  settle: Settle,
): Promise<AckResult[]> {
  const results: AckResult[] = new Array(ackIds.length);
  const { name, enableExactlyOnceDelivery: strict } = definition.subscription;
  const settling = groups(definition, ackIds).map(async ({ partition, lastAttempt, refs, positions }) => {
    const outcomes = await settle({ subscription: name, partition }, refs, lastAttempt);
    for (let i = 0; i < outcomes.length; i++) results[positions[i]!] = resultOf(outcomes[i]!, strict);
  });
  await Promise.all(settling);
  return results;
}

function groups(definition: Definition, ackIds: readonly string[]): Group[] {
  if (ackIds.length === 0) throw invalidArgument('The request has no ack ids; send at least one.');
  const attemptsMax = definition.subscription.deadLetter?.deliveryAttemptsMax ?? Number.POSITIVE_INFINITY;
  const byKey = new Map<number, Group>();
  for (let position = 0; position < ackIds.length; position++) {
    const ref = parseOwn(definition, ackIds[position]!);
    const lastAttempt = ref.attempt >= attemptsMax;
    const key = ref.partition * 2 + Number(lastAttempt);
    let group = byKey.get(key);
    if (!group) {
      group = { partition: ref.partition, lastAttempt, refs: [], positions: [] };
      byKey.set(key, group);
    }
    group.refs.push(ref);
    group.positions.push(position);
  }
  return [...byKey.values()];
}

function parseOwn({ subscriptionId, partitions, subscription }: Definition, text: string): AckId {
  const ackId = parseAckId(text);
  if (ackId.subscriptionId === subscriptionId && ackId.partition < partitions) return ackId;
  throw invalidArgument(
    `The ack id ${quote(text)} was not given out by ${subscription.name}; ack each message where it was received.`,
  );
}

/** An ordinary subscription takes a late ack without complaint (google.pubsub.v1 Acknowledge). */
function resultOf(outcome: Outcome, strict: boolean): AckResult {
  if (!strict || outcome === 'ok') return 'ok';
  return outcome === 'stale' ? 'invalid' : 'unordered';
}
