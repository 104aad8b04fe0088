import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { rpcsOf } from '../../src/api/grpc/protocol.ts';
import { openApi } from './api-under-test.ts';
import { GrpcClient, type Message } from './grpc-client.ts';

const topic = 'projects/p/topics/feed';
const subscription = 'projects/p/subscriptions/feed';
const snapshot = 'projects/p/snapshots/start';

async function opened() {
  const api = await openApi();
  const grpc = new GrpcClient(api.url);
  onTestFinished(async () => {
    grpc.close();
    await api.close();
  });
  return { api, grpc };
}

/** A server with one topic and one subscription of it. */
async function withFeed(fields: object = {}) {
  const { api, grpc } = await opened();
  await grpc.call('CreateTopic', { name: topic });
  await grpc.call('CreateSubscription', { name: subscription, topic, ...fields });
  const publish = (texts: readonly string[], fields: object = {}) =>
    grpc.call('Publish', { topic, messages: texts.map((text) => ({ data: Buffer.from(text), ...fields })) });
  const pull = async (maxMessages = 100): Promise<Message[]> =>
    (await grpc.call('Pull', { subscription, maxMessages, returnImmediately: true })).receivedMessages;
  const ackIdsOf = (received: readonly Message[]) => received.map(({ ackId }) => ackId);
  return { api, grpc, publish, pull, ackIdsOf };
}

const seconds = (count: number) => ({ seconds: count });
const numberOf = (duration: Message) => Number(duration.seconds);

describe('topics over gRPC', () => {
  it('CreateTopic - it answers the topic, with every setting', async () => {
    const { grpc } = await opened();
    const made = await grpc.call('CreateTopic', {
      name: topic,
      labels: { a: 'b' },
      messageRetentionDuration: seconds(600),
    });
    expect(made).toMatchObject({ name: topic, labels: { a: 'b' }, state: 1 });
    expect(numberOf(made.messageRetentionDuration)).toBe(600);
    expect(await grpc.call('GetTopic', { topic })).toEqual(made);
  });

  it('CreateTopic - one that exists is ALREADY_EXISTS, one that may not be INVALID_ARGUMENT', async () => {
    const { grpc } = await withFeed();
    expect(await grpc.refusal('CreateTopic', { name: topic })).toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await grpc.refusal('CreateTopic', {})).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await grpc.refusal('CreateTopic', { name: 'projects/p/topics/goog1' })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('reserved'),
    });
    const short = { name: 'projects/p/topics/two', messageRetentionDuration: seconds(599) };
    expect(await grpc.refusal('CreateTopic', short)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('message_retention_duration is 599s'),
    });
  });

  it('CreateTopic - what is not served is UNIMPLEMENTED with a sentence, empty values of it are no request for it', async () => {
    const { grpc } = await opened();
    const empty = { name: topic, kmsKeyName: '', messageStoragePolicy: { allowedPersistenceRegions: [] } };
    await grpc.call('CreateTopic', empty);
    expect(await grpc.refusal('CreateTopic', { name: `${topic}2`, kmsKeyName: 'key' })).toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining('Cloud KMS'),
    });
  });

  it('CreateTopic - a duration that is none is INVALID_ARGUMENT', async () => {
    const { grpc } = await opened();
    const wild = { name: topic, messageRetentionDuration: { seconds: 1, nanos: -5 } };
    expect(await grpc.refusal('CreateTopic', wild)).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('UpdateTopic - the mask says what changes; empty, unknown and immutable ones are INVALID_ARGUMENT', async () => {
    const { grpc } = await withFeed();
    const changed = { name: topic, labels: { a: 'b' } };
    const updated = await grpc.call('UpdateTopic', { topic: changed, updateMask: { paths: ['labels'] } });
    expect(updated.labels).toEqual({ a: 'b' });
    for (const paths of [[], ['wat'], ['name'], ['Wat!']]) {
      expect(await grpc.refusal('UpdateTopic', { topic: changed, updateMask: { paths } })).toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    expect(await grpc.refusal('UpdateTopic', { topic: changed })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const missing = { topic: { name: `${topic}2` }, updateMask: { paths: ['labels'] } };
    expect(await grpc.refusal('UpdateTopic', missing)).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('ListTopics - pages follow each other by their token; a token of another list is INVALID_ARGUMENT', async () => {
    const { grpc } = await opened();
    for (const id of ['aaa', 'bbb', 'ccc']) await grpc.call('CreateTopic', { name: `projects/p/topics/${id}` });
    const first = await grpc.call('ListTopics', { project: 'projects/p', pageSize: 2 });
    expect(first.topics.map(({ name }: Message) => name)).toEqual(['projects/p/topics/aaa', 'projects/p/topics/bbb']);
    const rest = { project: 'projects/p', pageSize: 2, pageToken: first.nextPageToken };
    const second = await grpc.call('ListTopics', rest);
    expect(second.topics.map(({ name }: Message) => name)).toEqual(['projects/p/topics/ccc']);
    expect(second.nextPageToken).toBe('');
    const wrong = [
      { project: 'projects/p', pageToken: 'wat' },
      { project: 'p' },
      { project: 'projects/p', pageSize: -1 },
    ];
    for (const request of wrong) {
      expect(await grpc.refusal('ListTopics', request)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  it('DeleteTopic - its subscriptions stay and name _deleted-topic_ (I3)', async () => {
    const { grpc, publish, pull } = await withFeed();
    await publish(['kept']);
    await grpc.call('DeleteTopic', { topic });
    expect(await grpc.call('GetSubscription', { subscription })).toMatchObject({ topic: '_deleted-topic_' });
    expect((await pull()).length).toBe(1);
    expect(await grpc.refusal('DeleteTopic', { topic })).toMatchObject({ code: 'NOT_FOUND' });
    expect(await grpc.refusal('GetTopic', { topic })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('ListTopicSubscriptions, ListTopicSnapshots - names of the topic', async () => {
    const { grpc } = await withFeed();
    await grpc.call('CreateSnapshot', { name: snapshot, subscription });
    expect(await grpc.call('ListTopicSubscriptions', { topic })).toMatchObject({ subscriptions: [subscription] });
    expect(await grpc.call('ListTopicSnapshots', { topic })).toMatchObject({ snapshots: [snapshot] });
    const missing = { topic: `${topic}2` };
    expect(await grpc.refusal('ListTopicSubscriptions', missing)).toMatchObject({ code: 'NOT_FOUND' });
    expect(await grpc.refusal('ListTopicSnapshots', missing)).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('publish and pull over gRPC', () => {
  it('Publish - a message comes back with every field, bytes and text unchanged', async () => {
    const { grpc, pull } = await withFeed();
    const attributes = { é: '✓', ['__proto__']: 'x' };
    const sent = { data: Buffer.from([0, 255, 128]), attributes, orderingKey: 'k' };
    const { messageIds } = await grpc.call('Publish', {
      topic,
      messages: [sent, { attributes: { a: '' } }].slice(0, 1),
    });
    const [{ message }] = (await pull()) as [Message];
    expect(message).toMatchObject({ messageId: messageIds[0], orderingKey: 'k' });
    expect(Buffer.compare(message.data, sent.data)).toBe(0);
    expect(Object.entries(message.attributes)).toEqual(Object.entries(attributes));
    expect(Math.abs(Number(message.publishTime.seconds) * 1000 - Date.now())).toBeLessThan(60_000);
  });

  it('Publish - it is refused like over REST', async () => {
    const { grpc, publish } = await withFeed();
    const refusals: [request: object, code: string, says: string][] = [
      [{ topic: `${topic}2`, messages: [{ data: Buffer.from('x') }] }, 'NOT_FOUND', 'There is no topic'],
      [{ topic, messages: [] }, 'INVALID_ARGUMENT', 'no messages'],
      [{ topic, messages: [{}] }, 'INVALID_ARGUMENT', 'neither'],
      [{ topic, messages: Array(1001).fill({ data: Buffer.from('x') }) }, 'INVALID_ARGUMENT', 'at most 1000'],
      [{ topic, messages: [{ attributes: { googx: 'y' } }] }, 'INVALID_ARGUMENT', 'reserved'],
      [
        { topic: 'feed', messages: [{ data: Buffer.from('x') }] },
        'INVALID_ARGUMENT',
        'topic is "feed"; it must read projects/*/topics/*',
      ],
    ];
    for (const [request, code, says] of refusals) {
      expect(await grpc.refusal('Publish', request)).toMatchObject({ code, message: expect.stringContaining(says) });
    }
    expect((await publish(['fine'])).messageIds.length).toBe(1);
  });

  it('Publish - text that is not UTF-8 is INVALID_ARGUMENT and nothing is stored (I9)', async () => {
    const { grpc, pull } = await withFeed();
    const key = Buffer.from([0x2a, 2, 0xff, 0xfe]); // ordering_key
    const message = Buffer.concat([Buffer.from([0x0a, 1, 0x78]), key]);
    const name = Buffer.from(topic);
    const request = Buffer.concat([
      Buffer.from([0x0a, name.length]),
      name,
      Buffer.from([0x12, message.length]),
      message,
    ]);
    await expect(grpc.callRaw('Publish', request).promise).rejects.toMatchObject({ code: 3 });
    await expect(grpc.callRaw('Publish', Buffer.from('junk')).promise).rejects.toMatchObject({
      code: 3,
      details: expect.stringContaining('google.pubsub.v1.PublishRequest'),
    });
    expect(await pull()).toEqual([]);
  });

  it('Publish - fields that nobody knows are passed over, as proto3 has it', async () => {
    const { grpc, pull } = await withFeed();
    const name = Buffer.from(topic);
    const unknown = Buffer.from([0xf8, 0x07, 1]); // field 127
    const message = Buffer.concat([Buffer.from([0x12, 6, 0x0a, 1, 0x78]), unknown]);
    await grpc.callRaw('Publish', Buffer.concat([Buffer.from([0x0a, name.length]), name, message, unknown])).promise;
    expect((await pull()).length).toBe(1);
  });

  it('Publish - 10 MB of data pass; more is INVALID_ARGUMENT', async () => {
    const { grpc, pull } = await withFeed();
    await grpc.call('Publish', { topic, messages: [{ data: Buffer.alloc(9_999_000) }] });
    expect((await pull())[0].message.data.length).toBe(9_999_000);
    for (const bytes of [10_000_001, 12_000_000]) {
      expect(await grpc.refusal('Publish', { topic, messages: [{ data: Buffer.alloc(bytes) }] })).toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  it('Pull - it waits for the first message', async () => {
    const { grpc, publish, api } = await withFeed();
    const pulled = grpc.call('Pull', { subscription, maxMessages: 10 });
    await vi.waitFor(() => expect(api.http.counters().pullsWaiting).toBe(1));
    await publish(['late']);
    expect((await pulled).receivedMessages.length).toBe(1);
  });

  it('Pull - a deadline that passes is DEADLINE_EXCEEDED and leaves nothing leased', async () => {
    const { grpc, publish, pull, api } = await withFeed();
    const late = await grpc.refusal('Pull', { subscription, maxMessages: 10 }, { deadlineMs: 100 });
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await vi.waitFor(() => expect(api.http.counters()).toMatchObject({ pullsWaiting: 0, callsOpen: 0 }));
    await publish(['after']);
    expect((await pull()).length).toBe(1);
  });

  it('Pull - one that is called off waits no longer', async () => {
    const { grpc, api } = await withFeed();
    const request = Buffer.concat([
      Buffer.from([0x0a, subscription.length]),
      Buffer.from(subscription),
      Buffer.from([0x18, 5]),
    ]);
    const call = grpc.callRaw('Pull', request);
    await vi.waitFor(() => expect(api.http.counters().pullsWaiting).toBe(1));
    call.cancel();
    await expect(call.promise).rejects.toMatchObject({ code: 1 });
    await vi.waitFor(() => expect(api.http.counters().pullsWaiting).toBe(0));
  });

  it('Pull - max_messages of 0 or less is INVALID_ARGUMENT, no subscription NOT_FOUND, a detached one FAILED_PRECONDITION', async () => {
    const { grpc } = await withFeed();
    for (const maxMessages of [0, -1]) {
      expect(await grpc.refusal('Pull', { subscription, maxMessages })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(await grpc.refusal('Pull', { subscription: `${subscription}2`, maxMessages: 1 })).toMatchObject({
      code: 'NOT_FOUND',
    });
    await grpc.call('DetachSubscription', { subscription });
    expect(await grpc.refusal('Pull', { subscription, maxMessages: 1 })).toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('Acknowledge - what is acked does not come again, twice is fine, malformed ids and no ids are INVALID_ARGUMENT (I2)', async () => {
    const { grpc, publish, pull, ackIdsOf, api } = await withFeed();
    await publish(['a', 'b']);
    const ackIds = ackIdsOf(await pull());
    await grpc.call('Acknowledge', { subscription, ackIds });
    await grpc.call('Acknowledge', { subscription, ackIds });
    expect(await api.pubsub.subscriptions.stats(subscription)).toMatchObject({ backlog: 0 });
    for (const wrong of [[], ['wat']]) {
      expect(await grpc.refusal('Acknowledge', { subscription, ackIds: wrong })).toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    const elsewhere = { subscription: `${subscription}2`, ackIds };
    expect(await grpc.refusal('Acknowledge', elsewhere)).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('ModifyAckDeadline - 0 gives a message back at once; outside 0..600 is INVALID_ARGUMENT', async () => {
    const { grpc, publish, pull, ackIdsOf } = await withFeed();
    await publish(['again']);
    const ackIds = ackIdsOf(await pull());
    await grpc.call('ModifyAckDeadline', { subscription, ackIds, ackDeadlineSeconds: 600 });
    expect(await pull()).toEqual([]);
    await grpc.call('ModifyAckDeadline', { subscription, ackIds, ackDeadlineSeconds: 0 });
    expect((await pull()).length).toBe(1);
    for (const ackDeadlineSeconds of [-1, 601]) {
      const request = { subscription, ackIds, ackDeadlineSeconds };
      expect(await grpc.refusal('ModifyAckDeadline', request)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  it('Acknowledge - on an exactly-once subscription ErrorInfo names the ids that failed, and why', async () => {
    const { grpc, publish, pull, ackIdsOf } = await withFeed({ enableExactlyOnceDelivery: true });
    await publish(['a', 'b']);
    const [first, second] = ackIdsOf(await pull()) as [string, string];
    await grpc.call('Acknowledge', { subscription, ackIds: [first] });
    expect(await grpc.refusal('Acknowledge', { subscription, ackIds: [first, second] })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      info: {
        reason: 'EXACTLY_ONCE_ACKID_FAILURE',
        domain: 'pubsub.googleapis.com',
        metadata: { [first]: 'PERMANENT_FAILURE_INVALID_ACK_ID' },
      },
    });
    const modify = { subscription, ackIds: [first], ackDeadlineSeconds: 10 };
    expect(await grpc.refusal('ModifyAckDeadline', modify)).toMatchObject({
      info: { metadata: { [first]: 'PERMANENT_FAILURE_INVALID_ACK_ID' } },
    });
  });

  it('Acknowledge - an ack ahead of its ordering key is transient', async () => {
    const { grpc, publish, pull, ackIdsOf } = await withFeed({
      enableExactlyOnceDelivery: true,
      enableMessageOrdering: true,
    });
    await publish(['a', 'b'], { orderingKey: 'k' });
    const [, second] = ackIdsOf(await pull()) as [string, string];
    expect(await grpc.refusal('Acknowledge', { subscription, ackIds: [second] })).toMatchObject({
      code: 'FAILED_PRECONDITION',
      info: { metadata: { [second]: 'TRANSIENT_FAILURE_UNORDERED_ACK_ID' } },
    });
  });

  it('Acknowledge - with a thousand failures the answer still reaches the client', async () => {
    const { grpc, publish, pull, ackIdsOf } = await withFeed({ enableExactlyOnceDelivery: true });
    await publish(Array(1000).fill('x'));
    const ackIds = ackIdsOf(await pull(1000));
    await grpc.call('Acknowledge', { subscription, ackIds });
    const refusal = await grpc.refusal('Acknowledge', { subscription, ackIds });
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('1000 of 1000') });
    expect(Object.keys(refusal.info.metadata).length).toBeGreaterThan(50);
  });

  it('Pull - deliveryAttempt counts where there is a dead-letter policy, else it is 0', async () => {
    const { grpc, publish, pull, ackIdsOf } = await withFeed({
      deadLetterPolicy: { deadLetterTopic: topic, maxDeliveryAttempts: 5 },
    });
    await publish(['x']);
    const first = await pull();
    expect(first[0].deliveryAttempt).toBe(1);
    await grpc.call('ModifyAckDeadline', { subscription, ackIds: ackIdsOf(first), ackDeadlineSeconds: 0 });
    expect((await pull())[0].deliveryAttempt).toBe(2);
  });
});

describe('subscriptions over gRPC', () => {
  it('CreateSubscription - defaults are those of Pub/Sub', async () => {
    const { grpc } = await withFeed();
    const found = await grpc.call('GetSubscription', { subscription });
    expect(found).toMatchObject({ name: subscription, topic, ackDeadlineSeconds: 10, state: 1, detached: false });
    expect(numberOf(found.messageRetentionDuration)).toBe(7 * 86_400);
    expect(numberOf(found.expirationPolicy.ttl)).toBe(31 * 86_400);
  });

  it('CreateSubscription - what is wrong is said with its code', async () => {
    const { grpc } = await withFeed();
    const name = `${subscription}2`;
    const refusals: [request: object, code: string][] = [
      [{ name: subscription, topic }, 'ALREADY_EXISTS'],
      [{ name, topic: `${topic}2` }, 'NOT_FOUND'],
      [{ name, topic: '' }, 'INVALID_ARGUMENT'],
      [{ name, topic, ackDeadlineSeconds: 9 }, 'INVALID_ARGUMENT'],
      [{ name, topic, ackDeadlineSeconds: 601 }, 'INVALID_ARGUMENT'],
      [{ name, topic, filter: 'wat' }, 'INVALID_ARGUMENT'],
      [{ name, topic, messageRetentionDuration: seconds(1) }, 'INVALID_ARGUMENT'],
      [{ name, topic, expirationPolicy: { ttl: seconds(1) } }, 'INVALID_ARGUMENT'],
      [{ name, topic, retryPolicy: { minimumBackoff: seconds(601) } }, 'INVALID_ARGUMENT'],
      [{ name, topic, deadLetterPolicy: { deadLetterTopic: topic, maxDeliveryAttempts: 4 } }, 'INVALID_ARGUMENT'],
      [{ name, topic, deadLetterPolicy: { deadLetterTopic: `${topic}2` } }, 'NOT_FOUND'],
      [{ name, topic, bigqueryConfig: { table: 'p.d.t' } }, 'UNIMPLEMENTED'],
      [{ name, topic, detached: true }, 'INVALID_ARGUMENT'],
    ];
    for (const [request, code] of refusals) {
      expect(await grpc.refusal('CreateSubscription', request), JSON.stringify(request)).toMatchObject({ code });
    }
  });

  it('UpdateSubscription - what may change does, what may not is INVALID_ARGUMENT', async () => {
    const { grpc } = await withFeed();
    const update = (fields: object, ...paths: string[]) => ({
      subscription: { name: subscription, ...fields },
      updateMask: { paths },
    });
    const changed = update({ ackDeadlineSeconds: 20, labels: { a: 'b' } }, 'ack_deadline_seconds', 'labels');
    expect(await grpc.call('UpdateSubscription', changed)).toMatchObject({
      ackDeadlineSeconds: 20,
      labels: { a: 'b' },
    });
    const never = update({ expirationPolicy: {} }, 'expiration_policy');
    expect((await grpc.call('UpdateSubscription', never)).expirationPolicy.ttl).toBeNull();
    for (const path of ['name', 'topic', 'filter', 'enable_message_ordering', 'detached', 'wat']) {
      expect(await grpc.refusal('UpdateSubscription', update({}, path))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    const missing = { subscription: { name: `${subscription}2` }, updateMask: { paths: ['labels'] } };
    expect(await grpc.refusal('UpdateSubscription', missing)).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('ListSubscriptions, DeleteSubscription - they list, and delete once', async () => {
    const { grpc } = await withFeed();
    const { subscriptions } = await grpc.call('ListSubscriptions', { project: 'projects/p' });
    expect(subscriptions.map(({ name }: Message) => name)).toEqual([subscription]);
    await grpc.call('DeleteSubscription', { subscription });
    expect(await grpc.refusal('DeleteSubscription', { subscription })).toMatchObject({ code: 'NOT_FOUND' });
    expect(await grpc.refusal('GetSubscription', { subscription })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('ModifyPushConfig - an empty one is a pull subscription', async () => {
    const { grpc } = await withFeed();
    await grpc.call('ModifyPushConfig', { subscription, pushConfig: {} });
    const missing = { subscription: `${subscription}2`, pushConfig: {} };
    expect(await grpc.refusal('ModifyPushConfig', missing)).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('DetachSubscription - it says so, and once more is fine', async () => {
    const { grpc } = await withFeed();
    await grpc.call('DetachSubscription', { subscription });
    expect(await grpc.call('GetSubscription', { subscription })).toMatchObject({ detached: true });
    const missing = { subscription: `${subscription}2` };
    expect(await grpc.refusal('DetachSubscription', missing)).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('snapshots and seek over gRPC', () => {
  it('CreateSnapshot - without a name the server picks one', async () => {
    const { grpc } = await withFeed();
    const made = await grpc.call('CreateSnapshot', { subscription });
    expect(made.name).toMatch(/^projects\/p\/snapshots\/snapshot-/);
    expect(await grpc.call('GetSnapshot', { snapshot: made.name })).toEqual(made);
    expect(await grpc.refusal('CreateSnapshot', {})).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('snapshots - they are made, listed, changed and deleted; each refusal has its code', async () => {
    const { grpc } = await withFeed();
    expect(await grpc.call('CreateSnapshot', { name: snapshot, subscription })).toMatchObject({
      name: snapshot,
      topic,
    });
    expect(await grpc.refusal('CreateSnapshot', { name: snapshot, subscription })).toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    const elsewhere = { name: `${snapshot}2`, subscription: `${subscription}2` };
    expect(await grpc.refusal('CreateSnapshot', elsewhere)).toMatchObject({ code: 'NOT_FOUND' });
    const { snapshots } = await grpc.call('ListSnapshots', { project: 'projects/p' });
    expect(snapshots.map(({ name }: Message) => name)).toEqual([snapshot]);
    const labelled = { snapshot: { name: snapshot, labels: { a: 'b' } }, updateMask: { paths: ['labels'] } };
    expect(await grpc.call('UpdateSnapshot', labelled)).toMatchObject({ labels: { a: 'b' } });
    const wrong = { snapshot: { name: snapshot }, updateMask: { paths: ['topic'] } };
    expect(await grpc.refusal('UpdateSnapshot', wrong)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    await grpc.call('DeleteSnapshot', { snapshot });
    expect(await grpc.refusal('DeleteSnapshot', { snapshot })).toMatchObject({ code: 'NOT_FOUND' });
    expect(await grpc.refusal('GetSnapshot', { snapshot })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('Seek - to a snapshot and to a time; without a target INVALID_ARGUMENT, to another topic FAILED_PRECONDITION', async () => {
    const { grpc, publish, pull, ackIdsOf, api } = await withFeed();
    await grpc.call('CreateSnapshot', { name: snapshot, subscription });
    await publish(['a', 'b']);
    await grpc.call('Acknowledge', { subscription, ackIds: ackIdsOf(await pull()) });
    await grpc.call('Seek', { subscription, snapshot });
    expect(await api.pubsub.subscriptions.stats(subscription)).toMatchObject({ backlog: 2 });
    await grpc.call('Seek', { subscription, time: { seconds: Math.ceil(Date.now() / 1000) + 60 } });
    expect(await api.pubsub.subscriptions.stats(subscription)).toMatchObject({ backlog: 0 });
    expect(await grpc.refusal('Seek', { subscription })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await grpc.refusal('Seek', { subscription, snapshot: `${snapshot}2` })).toMatchObject({ code: 'NOT_FOUND' });
    await grpc.call('CreateTopic', { name: `${topic}2` });
    await grpc.call('CreateSubscription', { name: `${subscription}2`, topic: `${topic}2` });
    expect(await grpc.refusal('Seek', { subscription: `${subscription}2`, snapshot })).toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });
});

describe('what is not served yet', () => {
  for (const { name } of ['google.pubsub.v1.SchemaService', 'google.iam.v1.IAMPolicy'].flatMap(rpcsOf)) {
    it(`${name} - it is UNIMPLEMENTED, with a sentence`, async () => {
      const { grpc } = await opened();
      expect(await grpc.refusal(name, {})).toMatchObject({
        code: 'UNIMPLEMENTED',
        message: expect.stringContaining('/openapi.json lists what is'),
      });
    });
  }
});
