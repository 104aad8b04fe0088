import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unpackRecords } from '../../src/domain/batch.ts';
import type { LeaseRef, LogRef, Store } from '../../src/store/store.ts';
import type { OpenStoreUnderTest, StoreUnderTest } from '../contract/store.contract.ts';
import { subscriptionNamed } from '../contract/store.contract.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';
import { type KnownRef, Oracle, type Setup } from './oracle.ts';

const sub = { subscription: 'projects/p/subscriptions/s', partition: 0 };
const refsKept = 400;

interface Model {
  /** The steps taken so far, for the report of a failure. */
  readonly trace: string[];
  readonly oracle: Oracle;
  readonly refs: KnownRef[];
  readonly snapshots: { name: string; state: ReturnType<Oracle['ackedState']> }[];
}

interface Real {
  readonly under: StoreUnderTest;
  readonly clock: VirtualClock;
  readonly log: LogRef;
}

type Command = fc.AsyncCommand<Model, Real>;

/** A step that is always possible; `told` prints it when a run fails. */
function step(told: string, run: (model: Model, real: Real) => Promise<void>): Command {
  const traced = async (model: Model, real: Real) => {
    model.trace.push(told);
    await run(model, real);
  };
  return { check: () => true, run: traced, toString: () => told };
}

const commands = [
  fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 12 }).map(append),
  fc.record({ max: fc.integer({ min: 0, max: 20 }), deadlineMs: fc.integer({ min: 1, max: 20_000 }) }).map(lease),
  fc.record({ max: fc.integer({ min: 0, max: 20 }), deadlineMs: fc.constant(10_000) }).map(lease),
  picks().map((pick) => ack(pick)),
  picks().map((pick) => ack(pick)),
  fc.record({ pick: picks(), counted: fc.boolean() }).map(nack),
  fc.record({ pick: picks(), deadlineMs: fc.integer({ min: 0, max: 30_000 }) }).map(modify),
  fc.integer({ min: 1, max: 15_000 }).map(advance),
  fc.integer({ min: 1, max: 300 }).map(advance),
  fc.oneof({ weight: 1, arbitrary: rare() }, { weight: 6, arbitrary: fc.constant(compareStats()) }),
];

function rare(): fc.Arbitrary<Command> {
  return fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }).map(seek),
    fc.constant(takeSnapshot()),
    fc.nat(5).map(seekSnapshot),
    fc.double({ min: 0, max: 0.2, noNaN: true }).map(skip),
    fc.constant(reopen()),
    fc.constant(trim()),
    fc.integer({ min: 1, max: 3 }).map(leaseLate),
  );
}

/** Which of the references given out so far: some of them, or all of the block that one belongs to, in order. */
type Pick = readonly number[] | { readonly blockOf: number; toString(): string };

/** Mostly recent ones, some old, some twice. */
function picks(): fc.Arbitrary<Pick> {
  const some = fc.array(fc.oneof(fc.nat(15), fc.nat(refsKept)), { minLength: 1, maxLength: 8 });
  const blockOf = fc.nat(40).map((number) => ({ blockOf: number, toString: () => `block of ${number}` }));
  return fc.oneof({ weight: 3, arbitrary: some }, { weight: 1, arbitrary: blockOf });
}

const setups: fc.Arbitrary<Setup> = fc.record({
  ordered: fc.boolean(),
  strict: fc.boolean(),
  filtered: fc.boolean(),
  keepAttempts: fc.boolean(),
  retry: fc.constantFrom(
    undefined,
    { minimumBackoffMs: 500, maximumBackoffMs: 4000 },
    { minimumBackoffMs: 0, maximumBackoffMs: 600_000 },
  ),
});

/**
 * Random commands against a store and the oracle, on a virtual clock. `SEED=n` replays one seed; `MODEL_RUNS` and
 * `MODEL_COMMANDS` set how many (the release check: 300 and 300). A failing run prints its seed and its commands.
 */
export function storeModel(adapter: string, open: OpenStoreUnderTest, runs: number): void {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const numRuns = process.env['SEED'] ? 1 : Number(process.env['MODEL_RUNS'] ?? runs);
  const count = Number(process.env['MODEL_COMMANDS'] ?? 300);

  describe(`${adapter} behaves as the model (I2 I3 I4 I5)`, () => {
    for (let run = 0; run < numRuns; run++) {
      it(`SEED=${seed + run}`, async () => {
        const one = fc.oneof(...commands);
        const many = fc.array(one, { minLength: count, maxLength: count, size: 'max' });
        const property = fc.asyncProperty(setups, many, (setup, steps) => runOnce(setup, steps, open));
        const { failed, errorInstance } = await fc.check(property, {
          seed: seed + run,
          numRuns: 1,
          endOnFailure: true,
        });
        if (failed) throw errorInstance;
      });
    }
  });
}

async function runOnce(setup: Setup, steps: Command[], open: OpenStoreUnderTest): Promise<void> {
  const clock = virtualClock();
  const under = await open(clock);
  const model: Model = { oracle: new Oracle(setup), refs: [], snapshots: [], trace: [] };
  try {
    const { topicId } = await under.store.createTopic({ name: 'projects/p/topics/t', labels: {} });
    await under.store.createSubscription(
      subscriptionNamed(sub.subscription, {
        enableMessageOrdering: setup.ordered,
        enableExactlyOnceDelivery: setup.strict,
      }),
    );
    const real: Real = { under, clock, log: { topicId, partition: 0 } };
    await fc.asyncModelRun(() => ({ model, real }), steps);
    await drain(model, real);
  } catch (error) {
    const last = model.trace.slice(-20).join('; ');
    throw new Error(
      `${(error as Error).message} (step ${model.trace.length}: …${last}; setup ${JSON.stringify(setup)})`,
    );
  } finally {
    await under.remove();
  }
}

function append(lanes: number[]): Command {
  return step(`append ${lanes}`, async ({ oracle }, { under, log }) => {
    const records = lanes.map((lane, i) => Buffer.from(`${oracle.head + i}:${lane}`));
    oracle.appended((await under.store.append(log, records)).firstOffset, lanes);
  });
}

function lease({ max, deadlineMs }: { max: number; deadlineMs: number }): Command {
  return step(`lease ${max} for ${deadlineMs} ms`, (model, real) => leaseNow(model, real, max, deadlineMs));
}

async function leaseNow(model: Model, { under, clock }: Real, max: number, deadlineMs: number): Promise<void> {
  const { oracle } = model;
  const { retry, keepAttempts, ordered, filtered } = oracle.setup;
  const options = { ackDeadlineMs: deadlineMs, retry, keepAttempts };
  const { cursor, head } = await under.store.lease(sub, { ...options, messagesMax: 0 });
  const offsets = Array.from({ length: head - cursor }, (_, i) => cursor + i);
  const fresh = {
    from: cursor,
    count: offsets.length,
    ...(filtered ? { skip: Uint8Array.from(offsets, (offset) => Number(oracle.skips(offset))) } : {}),
    ...(ordered ? { lanes: Uint32Array.from(offsets, (offset) => oracle.laneOf(offset)) } : {}),
  };
  const grant = await under.store.lease(sub, { ...options, messagesMax: max, fresh });
  oracle.leased(grant, max, deadlineMs, clock());
  for (const { block, offsets: held } of grant.blocks) {
    held.forEach((offset, index) => {
      model.refs.unshift({ ref: { epoch: grant.epoch, block, index, offset }, life: oracle.life });
    });
  }
  model.refs.length = Math.min(model.refs.length, refsKept);
}

function ack(pick: Pick): Command {
  return step(`ack ${pick}`, async (model, { under, clock }) => {
    const { strict } = model.oracle.setup;
    const known = chosen(model, pick);
    const outcomes = await under.store.ack(sub, refsOf(known), { strict });
    known.forEach((it, i) => void model.oracle.acked(it, outcomes[i]!, clock()));
  });
}

function nack({ pick, counted }: { pick: Pick; counted: boolean }): Command {
  return step(`${counted ? 'nack' : 'release'} ${pick}`, async (model, { under, clock }) => {
    const { strict, retry } = model.oracle.setup;
    const known = chosen(model, pick);
    const outcomes = await under.store.nack(sub, refsOf(known), { strict, retry, counted });
    known.forEach((it, i) => void model.oracle.nacked(it, counted, outcomes[i]!, clock()));
  });
}

function modify({ pick, deadlineMs }: { pick: Pick; deadlineMs: number }): Command {
  return step(`deadline of ${pick} to ${deadlineMs} ms`, async (model, { under, clock }) => {
    const { strict } = model.oracle.setup;
    const known = [...new Set(chosen(model, pick))];
    const outcomes = await under.store.modifyDeadline(sub, refsOf(known), deadlineMs, { strict });
    known.forEach((it, i) => void model.oracle.modified(it, deadlineMs, outcomes[i]!, clock()));
  });
}

function advance(ms: number): Command {
  return step(`wait ${ms} ms`, async (_, { clock }) => clock.advance(ms));
}

function seek(part: number): Command {
  return step(`seek to ${part}`, async ({ oracle }, { under }) => {
    const offset = 1 + Math.floor(part * (oracle.head - 1));
    await under.store.seek(sub, offset);
    oracle.sought(offset);
  });
}

function takeSnapshot(): Command {
  return step('snapshot', async ({ oracle, snapshots }, { under }) => {
    const name = `projects/p/snapshots/n${snapshots.length}`;
    await under.store.createSnapshot({ name, topic: 'projects/p/topics/t', labels: {}, expireMs: 0 }, sub.subscription);
    snapshots.push({ name, state: oracle.ackedState() });
  });
}

function seekSnapshot(which: number): Command {
  return step(`seek to snapshot ${which}`, async ({ oracle, snapshots }, { under }) => {
    const snapshot = snapshots[which % (snapshots.length || 1)];
    if (!snapshot) return;
    await under.store.seekSnapshot(sub.subscription, snapshot.name);
    oracle.restored(snapshot.state);
  });
}

/** Retention on an ordered subscription waits for what is out; the model covers the unordered ones. */
function skip(part: number): Command {
  return step(`skip to ${part}`, async ({ oracle }, { under }) => {
    if (oracle.setup.ordered) return;
    const offset = 1 + Math.floor(part * (oracle.head - 1));
    await under.store.skipTo(sub, offset);
    oracle.skippedTo(offset);
  });
}

function reopen(): Command {
  return step('restart', async ({ oracle }, { under }) => {
    await under.reopen();
    oracle.reopened(under.leasesSurvive);
  });
}

/** Removes what nobody needs, and nothing else. */
function trim(): Command {
  return step('trim', async ({ oracle }, { under, log }) => {
    const { subscriptions, snapshots } = await under.store.watermarks(log);
    expect(subscriptions[0]!.firstUnacked).toBe(oracle.firstUnacked);
    const needed = Math.min(...[...subscriptions, ...snapshots].map(({ firstUnacked }) => firstUnacked));
    const { first: before } = await under.store.watermarks(log);
    await under.store.trim(log, needed);
    const { first } = await under.store.watermarks(log);
    expect(first).toBeLessThanOrEqual(Math.max(before, needed));
  });
}

/** Another caller has moved the cursor since this one looked. */
function leaseLate(behind: number): Command {
  return step(`lease from ${behind} before the cursor`, async ({ oracle }, { under, clock }) => {
    const { retry, keepAttempts } = oracle.setup;
    const options = { ackDeadlineMs: 1, retry, keepAttempts, messagesMax: 0 };
    const { cursor } = await under.store.lease(sub, options);
    if (behind >= cursor) return;
    const { nextDueMs } = await under.store.lease(sub, options);
    if (nextDueMs !== undefined && nextDueMs <= clock()) return;
    const fresh = { from: cursor - behind, count: behind + 5 };
    const { blocks } = await under.store.lease(sub, { ...options, messagesMax: 1, fresh });
    expect(blocks).toEqual([]);
  });
}

function compareStats(): Command {
  return step('stats', async ({ oracle }, { under, log, clock }) => {
    const { backlog, outstanding } = await under.store.stats(sub.subscription);
    expect(backlog).toBe(oracle.backlog);
    expect(outstanding).toBeLessThanOrEqual(oracle.outstandingMax);
    expect(outstanding).toBeGreaterThanOrEqual(oracle.outstandingMin(clock()));
    const { first, head } = await under.store.watermarks(log);
    expect(head).toBe(oracle.head);
    await expectContent(under.store, log, first, head);
  });
}

/** Everything unacked comes, once its time has come, and then nothing is left (I3). */
async function drain(model: Model, real: Real): Promise<void> {
  const { oracle } = model;
  for (let round = 0; oracle.backlog > 0; round++) {
    if (round > 2000) throw new Error(`I3: ${oracle.backlog} messages never came, first ${oracle.firstUnacked}`);
    const before = model.refs.length === 0 ? undefined : model.refs[0];
    await leaseNow(model, real, 10_000, 600_000);
    const fresh = before ? model.refs.slice(0, model.refs.indexOf(before)) : [...model.refs];
    fresh.reverse(); // oldest first, so that keys are acked in order
    const outcomes = await real.under.store.ack(sub, refsOf(fresh), { strict: oracle.setup.strict });
    fresh.forEach((it, i) => void oracle.acked(it, outcomes[i]!, real.clock()));
    real.clock.advance(600_000);
  }
  const stats = await real.under.store.stats(sub.subscription);
  expect(stats).toMatchObject({ backlog: 0, oldestUnackedMs: undefined, bytes: 0 });
}

async function expectContent(store: Store, log: LogRef, first: number, head: number): Promise<void> {
  if (first === head) return;
  const at = first + Math.floor((head - first) / 2);
  const [batch] = await store.read(log, at, 1);
  const record = unpackRecords(batch!)[at - batch!.firstOffset]!;
  expect(Buffer.from(record).toString().split(':')[0]).toBe(String(at));
}

function chosen({ refs }: Model, pick: Pick): KnownRef[] {
  if (refs.length === 0) return [];
  if (!('blockOf' in pick)) return pick.map((number) => refs[number % refs.length]!);
  const { block } = refs[pick.blockOf % refs.length]!.ref;
  return refs.filter(({ ref }) => ref.block === block).reverse(); // the newest come first
}

function refsOf(known: readonly KnownRef[]): LeaseRef[] {
  return known.map(({ ref }) => ref);
}
