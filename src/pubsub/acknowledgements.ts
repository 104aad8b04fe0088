import { type AckId, parseAckId } from '../domain/ack-id.ts';
import { invalidArgument, type PubSubError } from '../domain/errors.ts';
import { quote } from '../domain/quote.ts';
import type { Outcome, SubscriptionPartition } from '../store/store.ts';
import type { Definition } from './definition.ts';
import type { AckResult } from './pubsub.ts';

interface Entry {
  readonly ref: AckId;
  /** Where it stood in the request. */
  readonly position: number;
}

/** Ack ids of one request that go to the store together. */
interface Group {
  readonly partition: number;
  readonly lastAttempt: boolean;
  readonly entries: Entry[];
}

export type Settle = (
  at: SubscriptionPartition,
  refs: readonly AckId[],
  lastAttempt: boolean,
) => Promise<readonly Outcome[]>;

export interface Settling {
  readonly definition: Definition;
  /** The definition as it is now: another node may know partitions that this one has not heard of. */
  readonly newest: () => Promise<Definition>;
  readonly ackIds: readonly string[];
  readonly settle: Settle;
  /** Deliveries from this one on are settled apart, as `lastAttempt`. */
  readonly attemptsMax?: number;
}

/**
 * Has the store settle what the ack ids stand for, and answers one result per id, in order.
 * @throws INVALID_ARGUMENT no ack ids, a malformed one, one of another subscription: nothing was settled.
 */
export async function settleAckIds(settling: Settling): Promise<AckResult[]> {
  const { definition, ackIds, settle, attemptsMax = Number.POSITIVE_INFINITY } = settling;
  const results: AckResult[] = new Array(ackIds.length);
  const { name, enableExactlyOnceDelivery: strict } = definition.subscription;
  const entries = entriesOf(definition, ackIds);
  await checkPartitions(entries, settling);
  const underWay = groups(entries, attemptsMax).map(async (group) => {
    const { partition, lastAttempt, entries } = group;
    const refs = entries.map(({ ref }) => ref);
    const outcomes = await settle({ subscription: name, partition }, refs, lastAttempt);
    entries.forEach(({ position }, index) => {
      results[position] = resultOf(outcomes[index]!, strict);
    });
  });
  await Promise.all(underWay);
  return results;
}

/** In the order of the log where that matters: an exactly-once ack must not come ahead of an earlier one of its key. */
function entriesOf(definition: Definition, ackIds: readonly string[]): Entry[] {
  if (ackIds.length === 0) throw invalidArgument('The request has no ack ids; send at least one.');
  const entries = ackIds.map((text, position) => ({ ref: parseOwn(definition, text), position }));
  if (definition.subscription.enableMessageOrdering) entries.sort((a, b) => a.ref.offset - b.ref.offset);
  return entries;
}

async function checkPartitions(entries: readonly Entry[], { definition, newest, ackIds }: Settling): Promise<void> {
  const beyond = (partitions: number) => entries.find(({ ref }) => ref.partition >= partitions);
  if (!beyond(definition.partitions)) return;
  const unknown = beyond((await newest()).partitions);
  if (unknown) throw notGivenOut(definition, ackIds[unknown.position]!);
}

function groups(entries: readonly Entry[], attemptsMax: number): Group[] {
  const byKey = new Map<number, Group>();
  for (const entry of entries) {
    const { partition, attempt } = entry.ref;
    const lastAttempt = attempt >= attemptsMax;
    const key = partition * 2 + Number(lastAttempt);
    const group = byKey.get(key);
    if (group) group.entries.push(entry);
    else byKey.set(key, { partition, lastAttempt, entries: [entry] });
  }
  return [...byKey.values()];
}

function parseOwn(definition: Definition, text: string): AckId {
  const ackId = parseAckId(text);
  if (ackId.subscriptionId === definition.subscriptionId) return ackId;
  throw notGivenOut(definition, text);
}

function notGivenOut({ subscription }: Definition, text: string): PubSubError {
  return invalidArgument(
    `The ack id ${quote(text)} was not given out by ${subscription.name}; ack each message where it was received.`,
  );
}

/** An ordinary subscription takes a late ack without complaint (google.pubsub.v1 Acknowledge). */
function resultOf(outcome: Outcome, strict: boolean): AckResult {
  if (!strict || outcome === 'ok') return 'ok';
  return outcome === 'stale' ? 'invalid' : 'unordered';
}
