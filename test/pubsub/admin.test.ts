import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SubscriptionSettings, subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import type { Listed, PageOptions } from '../../src/pubsub/pubsub.ts';
import { expectRefusal } from '../support/refusal.ts';
import {
  type Core,
  endCores,
  openCore,
  project,
  snapshotName,
  subscriptionName,
  telemetry,
  textsOf,
  topicName,
  worker,
} from './core.ts';

let core: Core;
beforeEach(async () => {
  core = await openCore();
});
afterEach(endCores);

const topic = { name: telemetry, labels: {} };
const firstPage: PageOptions = { pageSize: 0, pageToken: '' };

/** Every page of a list. */
async function pages<T>(list: (page: PageOptions) => Promise<Listed<T>>, pageSize: number): Promise<T[][]> {
  const all: T[][] = [];
  let pageToken = '';
  do {
    const { items, nextPageToken } = await list({ pageSize, pageToken });
    all.push([...items]);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return all;
}

describe('topics', () => {
  it('topic admin - creates, gets, updates and deletes, over restarts', async () => {
    const made = { ...topic, labels: { a: 'b' }, messageRetentionMs: 600_000 };
    expect(await core.topics.create(made)).toEqual(made);
    core = await core.restart();
    expect(await core.topics.get(telemetry)).toEqual(made);
    expect(await core.topics.update({ ...topic, labels: {} }, ['labels'])).toEqual({ ...made, labels: {} });
    await core.topics.delete(telemetry);
    core = await core.restart();
    await expectRefusal(() => core.topics.get(telemetry), 'NOT_FOUND', telemetry);
  });

  it('topic admin - I9: refuses what breaks a rule, with its code', async () => {
    await core.topics.create(topic);
    await expectRefusal(() => core.topics.create(topic), 'ALREADY_EXISTS', telemetry);
    await expectRefusal(() => core.topics.create({ ...topic, name: 'telemetry' }), 'INVALID_ARGUMENT');
    await expectRefusal(
      () => core.topics.create({ ...topic, name: topicName('two') }, 0),
      'INVALID_ARGUMENT',
      'partitions',
    );
    await expectRefusal(() => core.topics.update(topic, []), 'INVALID_ARGUMENT', 'empty');
    await expectRefusal(() => core.topics.update({ ...topic, name: topicName('two') }, ['labels']), 'NOT_FOUND');
    await expectRefusal(() => core.topics.delete(topicName('two')), 'NOT_FOUND');
    await expectRefusal(() => core.topics.get('two'), 'INVALID_ARGUMENT');
  });

  it('topic admin - lists a project by pages and no other project', async () => {
    const names = ['abc', 'abd', 'b-1', 'b-2', 'zzz'].map(topicName);
    for (const name of [...names].reverse()) await core.topic(name);
    await core.topic('projects/p2/topics/abc');
    const list = (page: PageOptions) => core.topics.list({ project, ...page });
    const listed = (await pages(list, 2)).map((page) => page.map(({ name }) => name));
    expect(listed).toEqual([names.slice(0, 2), names.slice(2, 4), names.slice(4)]);
    expect((await list(firstPage)).items).toHaveLength(5);
    expect((await list({ pageSize: 5, pageToken: '' })).nextPageToken).toBe('');
  });

  it('topic admin - I9: refuses a page token that it did not give out, and a negative page size', async () => {
    for (const pageToken of ['nonsense', Buffer.from('projects/p2/topics/a').toString('base64url'), 'a b']) {
      await expectRefusal(
        () => core.topics.list({ project, pageSize: 1, pageToken }),
        'INVALID_ARGUMENT',
        'page token',
      );
    }
    await expectRefusal(
      () => core.topics.list({ project, pageSize: -1, pageToken: '' }),
      'INVALID_ARGUMENT',
      'page size',
    );
    await expectRefusal(
      () => core.topics.list({ project: 'p', ...firstPage }),
      'INVALID_ARGUMENT',
      'projects/{project}',
    );
  });

  it('topic admin - lists the attached subscriptions and the snapshots of a topic', async () => {
    await core.topic();
    const names = ['aaa', 'bbb', 'ccc', 'ddd'].map(subscriptionName);
    for (const name of names) await core.subscription({ name });
    await core.snapshots.create(snapshotName('before'), names[0]!, {});
    await core.subscriptions.detach(names[1]!);
    const list = (page: PageOptions) => core.topics.listSubscriptions(telemetry, page);
    expect(await pages(list, 2)).toEqual([[names[0], names[2]], [names[3]]]);
    expect(await core.topics.listSnapshots(telemetry, firstPage)).toEqual({
      items: [snapshotName('before')],
      nextPageToken: '',
    });
    await expectRefusal(() => core.topics.listSnapshots(topicName('two'), firstPage), 'NOT_FOUND');
  });

  it('topic admin - after a delete subscriptions name _deleted-topic_ and keep their backlog', async () => {
    await core.topic();
    await core.subscription();
    await core.send(['one']);
    await core.topics.delete(telemetry);
    expect((await core.subscriptions.get(worker)).topic).toBe('_deleted-topic_');
    expect(textsOf(await core.take())).toEqual(['one']);
    const updated = { ...(await core.subscriptions.get(worker)), labels: { a: 'b' } };
    expect((await core.subscriptions.update(updated, ['labels'])).topic).toBe('_deleted-topic_');
  });

  it('topic admin - changes at the same time do not undo each other', async () => {
    await core.topic();
    await core.subscription();
    const subscription = await core.subscriptions.get(worker);
    await Promise.all([
      core.subscriptions.update({ ...subscription, labels: { a: 'b' } }, ['labels']),
      core.subscriptions.update({ ...subscription, ackDeadlineMs: 20_000 }, ['ack_deadline_seconds']),
      core.topics.delete(telemetry),
      core.subscriptions.update({ ...subscription, retainAckedMessages: true }, ['retain_acked_messages']),
    ]);
    expect(await core.subscriptions.get(worker)).toEqual({
      ...subscription,
      labels: { a: 'b' },
      ackDeadlineMs: 20_000,
      retainAckedMessages: true,
      topic: '_deleted-topic_',
    });
  });
});

describe('subscriptions', () => {
  const settings: SubscriptionSettings = { name: worker, topic: telemetry };
  const create = (part: Partial<SubscriptionSettings> = {}) =>
    core.subscriptions.create(subscriptionWithDefaults({ ...settings, ...part }));

  it('subscription admin - creates, gets, updates and deletes, over restarts', async () => {
    await core.topic();
    const made = await create({ filter: 'attributes:a', expirationTtlMs: 'never' });
    core = await core.restart();
    expect(await core.subscriptions.get(worker)).toEqual(made);
    const updated = await core.subscriptions.update({ ...made, ackDeadlineMs: 30_000 }, ['ack_deadline_seconds']);
    expect(updated).toEqual({ ...made, ackDeadlineMs: 30_000 });
    await core.subscriptions.delete(worker);
    await expectRefusal(() => core.subscriptions.get(worker), 'NOT_FOUND', worker);
    expect((await core.subscriptions.list({ project, ...firstPage })).items).toEqual([]);
  });

  it('subscription admin - I9: refuses what breaks a rule, with its code', async () => {
    await expectRefusal(() => create(), 'NOT_FOUND', 'Subscription topic does not exist');
    await core.topic();
    const made = await create();
    await expectRefusal(() => create(), 'ALREADY_EXISTS', worker);
    const name = subscriptionName('two');
    await expectRefusal(() => create({ name, topic: '_deleted-topic_' }), 'INVALID_ARGUMENT', 'not a topic name');
    await expectRefusal(() => create({ name, filter: 'x' }), 'INVALID_ARGUMENT', 'filter');
    await expectRefusal(() => create({ name, ackDeadlineMs: 5000 }), 'INVALID_ARGUMENT', 'ack_deadline_seconds');
    const deadLetter = { topic: topicName('dead'), deliveryAttemptsMax: 5 };
    await expectRefusal(() => create({ name, deadLetter }), 'NOT_FOUND', 'dead letter topic');
    const update = () => core.subscriptions.update({ ...made, deadLetter }, ['dead_letter_policy']);
    await expectRefusal(update, 'NOT_FOUND', 'dead letter topic');
    await expectRefusal(() => core.subscriptions.update(made, ['topic']), 'INVALID_ARGUMENT', 'cannot be changed');
    await expectRefusal(() => core.subscriptions.delete(name), 'NOT_FOUND');
    await expectRefusal(() => core.subscriptions.stats(name), 'NOT_FOUND');
    await expectRefusal(() => core.subscriptions.detach(name), 'NOT_FOUND');
    expect(await core.subscriptions.get(worker)).toEqual(made);
  });

  it('subscription admin - one that is made detached is attached', async () => {
    await core.topic();
    const made = await core.subscriptions.create({ ...subscriptionWithDefaults(settings), detached: true });
    expect(made.detached).toBe(false);
  });

  it('subscription admin - a new definition counts from the next lease', async () => {
    await core.topic();
    const made = await create();
    await core.send(['one']);
    await core.nack(await core.take());
    await core.subscriptions.update({ ...made, ackDeadlineMs: 60_000 }, ['ack_deadline_seconds']);
    await core.take();
    core.time.advance(59_999);
    expect(await core.take()).toEqual([]);
    core.time.advance(1);
    expect(await core.take()).toHaveLength(1);
  });

  it('subscription admin - detaching drops the backlog for good and refuses pulls', async () => {
    await core.topic();
    await create();
    await core.send(['one', 'two']);
    const held = await core.take(1);
    await core.subscriptions.detach(worker);
    await core.send(['three']);
    expect((await core.subscriptions.get(worker)).detached).toBe(true);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 0, outstanding: 0 });
    await expectRefusal(() => core.take(), 'FAILED_PRECONDITION', 'detached');
    await expectRefusal(() => core.subscriptions.seek(worker, { timeMs: 0 }), 'FAILED_PRECONDITION', 'detached');
    await expectRefusal(() => core.snapshots.create(snapshotName('one'), worker, {}), 'FAILED_PRECONDITION');
    expect(await core.ack(held)).toEqual(['ok']);
    await core.sweepRetention();
    const { topicId } = (await core.store.topic(telemetry))!;
    const { first, head } = await core.store.watermarks({ topicId, partition: 0 });
    expect(first).toBe(head);
  });

  it('subscription admin - stats tell backlog, outstanding and the oldest unacked message', async () => {
    await core.topic();
    await create();
    const oldestUnackedMs = core.time.clock();
    await core.send(['one']);
    core.time.advance(5000);
    await core.send(['two', 'three']);
    const messages = await core.take(2);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 3, outstanding: 2, oldestUnackedMs });
    await core.ack(messages.slice(0, 1));
    expect(await core.subscriptions.stats(worker)).toMatchObject({
      backlog: 2,
      outstanding: 1,
      oldestUnackedMs: oldestUnackedMs + 5000,
    });
  });
});
