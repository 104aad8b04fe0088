import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ApiUnderTest, base64, openApi } from './api-under-test.ts';

let api: ApiUnderTest;
beforeAll(async () => {
  api = await openApi({ limits: { pullWaitMs: 20_000 } });
});
afterAll(() => api.close());

const call: ApiUnderTest['call'] = (...given) => api.call(...given);

interface Feed {
  readonly topic: string;
  readonly subscription: string;
  publish(...texts: string[]): Promise<string[]>;
  pull(maxMessages?: number): Promise<Delivery[]>;
}

interface Delivery {
  readonly ackId: string;
  readonly deliveryAttempt?: number;
  readonly message: { readonly data: string; readonly messageId: string };
}

let feeds = 0;

/** A topic and a subscription of their own for each test. */
async function newFeed(settings: object = {}, orderingKey?: string): Promise<Feed> {
  const project = `projects/messages-${++feeds}`;
  const [topic, subscription] = [`${project}/topics/feed`, `${project}/subscriptions/feed`];
  await call('PUT', topic);
  expect((await call('PUT', subscription, { topic, ...settings })).status).toBe(200);
  const pull = (maxMessages = 10) => call('POST', `${subscription}:pull`, { maxMessages, returnImmediately: true });
  return {
    topic,
    subscription,
    async publish(...texts) {
      const messages = texts.map((text) => ({ data: base64(text), ...(orderingKey && { orderingKey }) }));
      return (await call('POST', `${topic}:publish`, { messages })).body.messageIds;
    },
    pull: async (maxMessages) => (await pull(maxMessages)).body.receivedMessages ?? [],
  };
}

const outstanding = async ({ subscription }: Feed) => (await api.pubsub.subscriptions.stats(subscription)).outstanding;

describe('messages over REST', () => {
  it('publish and pull - every field of a message arrives as it was sent', async () => {
    const feed = await newFeed();
    const attributes = JSON.parse('{"unit":"°C","":"","__proto__":"p"}');
    delete attributes[''];
    const messages = [
      { data: '-_8', attributes, ordering_key: 'device "7"' },
      { attributes: { only: 'attributes' }, orderingKey: 'device "7"', messageId: 'ignored' },
    ];
    const { body } = await call('POST', `${feed.topic}:publish`, { messages });
    expect(body).toEqual({ messageIds: [expect.any(String), expect.any(String)] });
    const [first, second] = await feed.pull();
    const [firstId, secondId] = body.messageIds;
    const common = { publishTime: expect.stringMatching(/^\d{4}-.*Z$/), orderingKey: 'device "7"' };
    expect(first).toEqual({
      ackId: expect.any(String),
      message: { ...common, data: '+/8=', attributes, messageId: firstId },
    });
    expect(second).toEqual({
      ackId: expect.any(String),
      message: { ...common, attributes: { only: 'attributes' }, messageId: secondId },
    });
  });

  it('pull - it hands out no more than asked, and an empty object when there is nothing', async () => {
    const feed = await newFeed();
    await feed.publish('a', 'b', 'c');
    expect(await feed.pull(2)).toHaveLength(2);
    expect(await feed.pull(2)).toHaveLength(1);
    expect(await call('POST', `${feed.subscription}:pull`, { maxMessages: 2, return_immediately: true })).toEqual({
      status: 200,
      body: {},
    });
  });

  it('acknowledge - a message that is acked does not come again; one that is nacked does, at once', async () => {
    const feed = await newFeed({ deadLetterPolicy: { deadLetterTopic: (await newFeed()).topic } });
    await feed.publish('keep', 'settle');
    const [keep, settle] = await feed.pull();
    expect(keep!.deliveryAttempt).toBe(1);
    expect(await call('POST', `${feed.subscription}:acknowledge`, { ackIds: [settle!.ackId] })).toEqual({
      status: 200,
      body: {},
    });
    const nack = { ackIds: [keep!.ackId], ackDeadlineSeconds: 0 };
    expect(await call('POST', `${feed.subscription}:modifyAckDeadline`, nack)).toEqual({ status: 200, body: {} });
    const again = await feed.pull();
    expect(again).toMatchObject([{ deliveryAttempt: 2, message: { messageId: keep!.message.messageId } }]);
    expect(again[0]!.ackId).not.toBe(keep!.ackId);
  });

  it('acknowledge - on an ordinary subscription a second ack is fine', async () => {
    const feed = await newFeed();
    await feed.publish('once');
    const ackIds = (await feed.pull()).map(({ ackId }) => ackId);
    for (const _ of [1, 2]) {
      expect((await call('POST', `${feed.subscription}:acknowledge`, { ackIds })).status).toBe(200);
    }
  });

  it('seek - to a time before the messages brings acked ones back, to the future acks everything', async () => {
    const feed = await newFeed({ retainAckedMessages: true });
    const before = new Date().toISOString();
    await feed.publish('a', 'b');
    await call('POST', `${feed.subscription}:acknowledge`, { ackIds: (await feed.pull()).map(({ ackId }) => ackId) });
    await call('POST', `${feed.subscription}:seek`, { time: before });
    expect(await feed.pull()).toHaveLength(2);
    await call('POST', `${feed.subscription}:seek`, { time: '2999-01-01T00:00:00Z' });
    expect(await feed.pull()).toEqual([]);
  });
});

describe('exactly-once acknowledgements over REST', () => {
  const errorInfo = (metadata: object) => ({
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason: 'EXACTLY_ONCE_ACKID_FAILURE',
    domain: 'pubsub.googleapis.com',
    metadata,
  });

  it('I4 acknowledge - an ack id of an older delivery is refused by name, and the others of the request are settled', async () => {
    const feed = await newFeed({ enableExactlyOnceDelivery: true });
    await feed.publish('a', 'b');
    const [a, b] = await feed.pull();
    await call('POST', `${feed.subscription}:modifyAckDeadline`, { ackIds: [a!.ackId] }); // no seconds: 0, a nack
    const answer = await call('POST', `${feed.subscription}:acknowledge`, { ackIds: [a!.ackId, b!.ackId] });
    const details = [errorInfo({ [a!.ackId]: 'PERMANENT_FAILURE_INVALID_ACK_ID' })];
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 400, status: 'INVALID_ARGUMENT', details } } });
    expect(answer.body.error.message).toMatch(/^1 of 2 ack ids are no longer valid/);
    expect(await feed.pull()).toMatchObject([{ message: { messageId: a!.message.messageId } }]);
    const late = { ackIds: [a!.ackId], ackDeadlineSeconds: 30 };
    expect((await call('POST', `${feed.subscription}:modifyAckDeadline`, late)).body.error.details).toEqual(details);
  });

  it('I5 acknowledge - ahead of an earlier message of its key it is refused for now', async () => {
    const feed = await newFeed({ enableExactlyOnceDelivery: true, enableMessageOrdering: true }, 'key');
    await feed.publish('first', 'second');
    const [first, second] = await feed.pull();
    expect(await call('POST', `${feed.subscription}:acknowledge`, { ackIds: [second!.ackId] })).toMatchObject({
      status: 400,
      body: {
        error: {
          status: 'FAILED_PRECONDITION',
          details: [errorInfo({ [second!.ackId]: 'TRANSIENT_FAILURE_UNORDERED_ACK_ID' })],
        },
      },
    });
    const both = { ackIds: [first!.ackId, second!.ackId] };
    expect(await call('POST', `${feed.subscription}:acknowledge`, both)).toEqual({ status: 200, body: {} });
  });
});

describe('pulls that wait', () => {
  const waiting = () => api.http.counters().pullsWaiting;
  const untilWaiting = (count: number) =>
    vi.waitFor(() => expect(waiting()).toBe(count), { interval: 5, timeout: 5000 });

  it('pull - it waits, and a publish wakes it', async () => {
    const feed = await newFeed();
    const answer = call('POST', `${feed.subscription}:pull`, { maxMessages: 5 });
    await untilWaiting(1);
    const [messageId] = await feed.publish('woken');
    expect((await answer).body.receivedMessages).toMatchObject([{ message: { messageId } }]);
    expect(waiting()).toBe(0);
  });

  it('pull - a client that goes away while it waits leaves nothing leased', async () => {
    const feed = await newFeed();
    const client = new AbortController();
    const answer = call('POST', `${feed.subscription}:pull`, { maxMessages: 5 }, { signal: client.signal });
    const failed = expect(answer).rejects.toThrow();
    await untilWaiting(1);
    client.abort();
    await failed;
    await untilWaiting(0);
    await feed.publish('for the next one');
    expect(await outstanding(feed)).toBe(0);
    expect(await feed.pull()).toHaveLength(1);
  });

  it('pull - a client that goes away with the answer half taken leaves nothing leased', async () => {
    const feed = await newFeed({ deadLetterPolicy: { deadLetterTopic: (await newFeed()).topic } });
    await feed.publish('x'.repeat(9_900_000)); // more than the system buffers between the two ends
    const socket = await rawPull(feed.subscription);
    await vi.waitFor(async () => expect(await outstanding(feed)).toBe(1));
    socket.destroy();
    await vi.waitFor(async () => expect(await outstanding(feed)).toBe(0), { timeout: 5000 });
    expect(api.http.counters().replyBytesHeld).toBe(0);
    expect((await feed.pull(1))[0]!.deliveryAttempt).toBe(1); // what was never received was never tried
  });

  it('pull - an answer that was taken stays leased, also when the connection closes behind it', async () => {
    const feed = await newFeed();
    await feed.publish('taken');
    const answer = await call(
      'POST',
      `${feed.subscription}:pull`,
      { maxMessages: 1 },
      { headers: { connection: 'close' } },
    );
    expect(answer.body.receivedMessages).toHaveLength(1);
    expect(await outstanding(feed)).toBe(1);
    expect(api.http.counters().replyBytesHeld).toBe(0);
  });

  /** Asks for messages and reads none of the answer. */
  async function rawPull(subscription: string): Promise<Socket> {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.pause();
    const body = JSON.stringify({ maxMessages: 1 });
    socket.write(`POST /v1/${subscription}:pull HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    return socket;
  }
});
