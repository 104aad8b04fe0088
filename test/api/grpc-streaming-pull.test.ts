import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { VirtualTime } from '../support/virtual-time.ts';
import { openApi } from './api-under-test.ts';
import { GrpcClient, type Message, type OpenStream } from './grpc-client.ts';

const topic = 'projects/p/topics/feed';
const subscription = 'projects/p/subscriptions/feed';

type Options = Parameters<typeof openApi>[0] & { readonly fields?: object };

/** A server with a topic and a subscription of it, and a client. */
async function withFeed({ fields = {}, ...options }: Options = {}) {
  const api = await openApi(options);
  const grpc = new GrpcClient(api.url);
  onTestFinished(async () => {
    grpc.close();
    await api.close();
  });
  await grpc.call('CreateTopic', { name: topic });
  await grpc.call('CreateSubscription', { name: subscription, topic, ...fields });
  const publish = (texts: readonly string[], orderingKey = '') =>
    grpc.call('Publish', { topic, messages: texts.map((text) => ({ data: Buffer.from(text), orderingKey })) });
  const open = (first: object = {}) =>
    grpc.stream('StreamingPull', { subscription, streamAckDeadlineSeconds: 60, ...first });
  const stats = () => api.pubsub.subscriptions.stats(subscription);
  return { api, grpc, publish, open, stats };
}

async function withVirtualTime(fields: object = {}) {
  const time = new VirtualTime();
  return { time, ...(await withFeed({ fields, clock: time.clock, schedule: time.schedule })) };
}

const numbered = (count: number, prefix = 'm') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const textsOf = ({ received }: OpenStream) => received.map(({ message }) => Buffer.from(message.data).toString());
const ackIdsOf = (received: readonly Message[]) => received.map(({ ackId }) => ackId);
const gets = (stream: OpenStream, count: number) => vi.waitFor(() => expect(stream.received.length).toBe(count), 5000);

/** Long enough for a server to have sent what it is not to send: several of its turns, with calls of their own. */
async function settled(grpc: GrpcClient): Promise<void> {
  for (let i = 0; i < 20; i++) await grpc.call('GetTopic', { topic });
}

describe('a stream begins', () => {
  it('StreamingPull - it says what kind of subscription it is of, then hands out what is there and what comes', async () => {
    const { publish, open } = await withFeed({ fields: { enableMessageOrdering: true } });
    await publish(['before']);
    const stream = open();
    await gets(stream, 1);
    await publish(['after']);
    await gets(stream, 2);
    expect(textsOf(stream)).toEqual(['before', 'after']);
    const properties = { messageOrderingEnabled: true, exactlyOnceDeliveryEnabled: false };
    expect(stream.responses[0]).toMatchObject({ receivedMessages: [], subscriptionProperties: properties });
  });

  const refusals: [what: string, first: object, code: string, says: string][] = [
    ['no ack deadline', { streamAckDeadlineSeconds: 0 }, 'INVALID_ARGUMENT', 'between 10 and 600'],
    ['too short an ack deadline', { streamAckDeadlineSeconds: 9 }, 'INVALID_ARGUMENT', 'between 10 and 600'],
    ['too long an ack deadline', { streamAckDeadlineSeconds: 601 }, 'INVALID_ARGUMENT', 'between 10 and 600'],
    ['no subscription', { subscription: '' }, 'INVALID_ARGUMENT', 'not a subscription name'],
    ['an unknown subscription', { subscription: `${subscription}2` }, 'NOT_FOUND', 'no subscription'],
  ];
  for (const [what, first, code, says] of refusals) {
    it(`StreamingPull - ${what} is ${code}`, async () => {
      const { open, api } = await withFeed();
      expect(await open(first).ended).toMatchObject({ code, message: expect.stringContaining(says) });
      expect(api.pubsub.counters()).toMatchObject({ streams: 0 });
    });
  }

  it('StreamingPull - a detached subscription is FAILED_PRECONDITION', async () => {
    const { grpc, open } = await withFeed();
    await grpc.call('DetachSubscription', { subscription });
    expect(await open().ended).toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('StreamingPull - a stream that ends without a request is INVALID_ARGUMENT', async () => {
    const { grpc } = await withFeed();
    const stream = grpc.stream('StreamingPull');
    stream.call.end();
    expect(await stream.ended).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('StreamingPull - one stream more than may be open is RESOURCE_EXHAUSTED', async () => {
    const { open, api } = await withFeed({ streamLimits: { streamsMax: 1 } });
    const first = open();
    await vi.waitFor(() => expect(first.responses.length).toBe(1));
    expect(await open().ended).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(api.pubsub.counters()).toMatchObject({ streams: 1, streamsRefused: 1 });
  });
});

describe('requests on a stream', () => {
  it('StreamingPull - acks are durable when the stream has ended well (I2)', async () => {
    const { publish, open, stats } = await withFeed();
    await publish(numbered(3));
    const stream = open();
    await gets(stream, 3);
    stream.send({ ackIds: ackIdsOf(stream.received) });
    stream.call.end();
    expect(await stream.ended).toMatchObject({ code: 'OK' });
    expect(await stats()).toMatchObject({ backlog: 0 });
  });

  it('StreamingPull - a deadline of 0 gives a message back, and it comes again under another ack id (I4)', async () => {
    const { publish, open } = await withFeed();
    await publish(['again']);
    const stream = open();
    await gets(stream, 1);
    const [first] = ackIdsOf(stream.received);
    stream.send({ modifyDeadlineAckIds: [first], modifyDeadlineSeconds: [0] });
    await gets(stream, 2);
    expect(ackIdsOf(stream.received)[1]).not.toBe(first);
  });

  const violations: [what: string, request: object, says: string][] = [
    ['the subscription again', { subscription }, 'subscription can only be set in the first'],
    ['max_outstanding_messages again', { maxOutstandingMessages: 5 }, 'max_outstanding_messages can only'],
    ['max_outstanding_bytes again', { maxOutstandingBytes: 5 }, 'max_outstanding_bytes can only'],
    ['the protocol version again', { protocolVersion: 1 }, 'protocol_version can only'],
    ['a wrong ack deadline', { streamAckDeadlineSeconds: 5 }, 'between 10 and 600'],
    ['a malformed ack id', { ackIds: ['wat'] }, 'not an ack id'],
    ['lists of different length', { modifyDeadlineAckIds: ['a', 'b'], modifyDeadlineSeconds: [10] }, 'one for each'],
    ['too much at once', { ackIds: Array(50_000).fill('a'.repeat(30)) }, 'at most 1048576 are allowed on a stream'],
    ['too long a deadline', { modifyDeadlineAckIds: ['a'], modifyDeadlineSeconds: [601] }, 'between 0s and 600s'],
    ['a negative deadline', { modifyDeadlineAckIds: ['a'], modifyDeadlineSeconds: [-1] }, 'between 0s and 600s'],
  ];
  for (const [what, request, says] of violations) {
    it(`StreamingPull - ${what} ends the stream with INVALID_ARGUMENT`, async () => {
      const { open } = await withFeed();
      const stream = open();
      stream.send(request);
      expect(await stream.ended).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(says) });
    });
  }

  it('StreamingPull - many acks of one message each are all done, however few may be under way', async () => {
    const { publish, open, stats } = await withFeed({ grpcLimits: { streamRequestsMax: 2 } });
    await publish(numbered(200));
    const stream = open();
    await gets(stream, 200);
    for (const ackId of ackIdsOf(stream.received)) stream.send({ ackIds: [ackId] });
    stream.call.end();
    expect(await stream.ended).toMatchObject({ code: 'OK' });
    expect(await stats()).toMatchObject({ backlog: 0 });
  });

  it('StreamingPull - an empty request is a keep-alive, which version 1 hears back', async () => {
    const { grpc, open } = await withFeed();
    const [old, recent] = [open(), open({ protocolVersion: 1 })];
    await vi.waitFor(() => expect(recent.responses.length + old.responses.length).toBe(2));
    old.send({});
    recent.send({});
    await vi.waitFor(() => expect(recent.responses.length).toBe(2));
    await settled(grpc);
    expect(old.responses.length).toBe(1);
    expect(recent.responses[1]).toMatchObject({ receivedMessages: [] });
  });

  it('StreamingPull - version 1 gets signs of life from the server by itself', async () => {
    const { open } = await withFeed({ grpcLimits: { heartbeatMs: 5 } });
    const stream = open({ protocolVersion: 1 });
    await vi.waitFor(() => expect(stream.responses.length).toBeGreaterThan(3));
  });
});

describe('exactly-once on a stream', () => {
  it('StreamingPull - acks and deadlines are confirmed one by one', async () => {
    const { publish, open } = await withFeed({ fields: { enableExactlyOnceDelivery: true } });
    await publish(numbered(2));
    const stream = open();
    await gets(stream, 2);
    const [first, second] = ackIdsOf(stream.received) as [string, string];
    const confirmed = (field: string) => stream.responses.map((response) => response[field]).filter(Boolean);
    stream.send({ modifyDeadlineAckIds: [first, second], modifyDeadlineSeconds: [30, 40] });
    await vi.waitFor(() => expect(confirmed('modifyAckDeadlineConfirmation').length).toBe(1));
    expect(confirmed('modifyAckDeadlineConfirmation')).toMatchObject([{ ackIds: [first, second], invalidAckIds: [] }]);
    stream.send({ ackIds: [first] });
    await vi.waitFor(() => expect(confirmed('acknowledgeConfirmation').length).toBe(1));
    stream.send({ ackIds: [first, second] });
    await vi.waitFor(() => expect(confirmed('acknowledgeConfirmation').length).toBe(2));
    expect(confirmed('acknowledgeConfirmation')).toMatchObject([
      { ackIds: [first], invalidAckIds: [], unorderedAckIds: [], temporaryFailedAckIds: [] },
      { ackIds: [second], invalidAckIds: [first] },
    ]);
    expect(stream.responses[0].subscriptionProperties).toMatchObject({ exactlyOnceDeliveryEnabled: true });
  });

  it('StreamingPull - an ack ahead of its ordering key is confirmed as unordered, and keeps its place', async () => {
    const fields = { enableExactlyOnceDelivery: true, enableMessageOrdering: true };
    const { publish, open, api } = await withFeed({ fields });
    await publish(numbered(2), 'key');
    const stream = open();
    await gets(stream, 2);
    const [, second] = ackIdsOf(stream.received) as [string, string];
    stream.send({ ackIds: [second] });
    await vi.waitFor(() => expect(stream.responses.at(-1).acknowledgeConfirmation).toBeTruthy());
    expect(stream.responses.at(-1).acknowledgeConfirmation).toMatchObject({ ackIds: [], unorderedAckIds: [second] });
    expect(api.pubsub.counters().streamMessagesHeld).toBe(2);
  });

  it('StreamingPull - a subscription that becomes exactly-once says so with its next response', async () => {
    const { grpc, publish, open } = await withFeed();
    const stream = open();
    await vi.waitFor(() => expect(stream.responses.length).toBe(1));
    const changed = { name: subscription, enableExactlyOnceDelivery: true };
    const updateMask = { paths: ['enable_exactly_once_delivery'] };
    await grpc.call('UpdateSubscription', { subscription: changed, updateMask });
    await settled(grpc);
    await publish(['x']);
    await gets(stream, 1);
    expect(stream.responses.at(-1).subscriptionProperties).toMatchObject({ exactlyOnceDeliveryEnabled: true });
  });
});

describe('flow control', () => {
  it('flow control - never more than max_outstanding_messages are out, whichever way they are acked (I8)', async () => {
    const { grpc, publish, open, stats } = await withFeed();
    await publish(numbered(50));
    const stream = open({ maxOutstandingMessages: 5 });
    let settledCount = 0;
    for (let round = 0; settledCount < 50; round++) {
      await gets(stream, Math.min(settledCount + 5, 50));
      await settled(grpc);
      expect(stream.received.length - settledCount).toBeLessThanOrEqual(5);
      const ackIds = ackIdsOf(stream.received.slice(settledCount));
      if (round % 2) stream.send({ ackIds });
      else await grpc.call('Acknowledge', { subscription, ackIds });
      settledCount += ackIds.length;
    }
    await vi.waitFor(async () => expect(await stats()).toMatchObject({ backlog: 0 }));
    expect(new Set(textsOf(stream)).size).toBe(50);
  });

  it('flow control - a nack frees a place too, by a unary call as well', async () => {
    const { grpc, publish, open } = await withFeed();
    await publish(numbered(3));
    const stream = open({ maxOutstandingMessages: 1 });
    for (let round = 1; round <= 6; round++) {
      await gets(stream, round);
      await grpc.call('ModifyAckDeadline', {
        subscription,
        ackIds: [stream.received.at(-1).ackId],
        ackDeadlineSeconds: 0,
      });
    }
  });

  it('flow control - a deadline that passes frees a place, an extended one later (I4)', async () => {
    const { time, grpc, publish, open } = await withVirtualTime();
    await publish(numbered(4));
    const stream = open({ maxOutstandingMessages: 2, streamAckDeadlineSeconds: 10 });
    await gets(stream, 2);
    const [first] = ackIdsOf(stream.received);
    await grpc.call('ModifyAckDeadline', { subscription, ackIds: [first], ackDeadlineSeconds: 30 });
    await settled(grpc);
    time.advance(11_000);
    await gets(stream, 3);
    await settled(grpc);
    expect(stream.received.length).toBe(3);
    time.advance(20_000);
    await vi.waitFor(() => expect(stream.received.length).toBeGreaterThan(4));
  });

  it('flow control - sending stops once max_outstanding_bytes are out, and one large message still gets through', async () => {
    const { grpc, publish, open } = await withFeed();
    await publish(numbered(10).map((text) => text.padEnd(1000, '.')));
    const stream = open({ maxOutstandingBytes: 2500 });
    await gets(stream, 3); // the third passes the limit: it was not reached before
    await settled(grpc);
    expect(stream.received.length).toBe(3);
    stream.send({ ackIds: ackIdsOf(stream.received.slice(0, 1)) });
    await gets(stream, 4);
    const tiny = open({ maxOutstandingBytes: 1 });
    await gets(tiny, 1);
  });

  it('flow control - a slow stream holds nobody back (I8)', async () => {
    const { grpc, publish, open } = await withFeed();
    const slow = open({ maxOutstandingMessages: 5 });
    await publish(numbered(5, 'slow'));
    await gets(slow, 5);
    const quick = open();
    await publish(numbered(300));
    await gets(quick, 300);
    await settled(grpc);
    expect(slow.received.length).toBe(5);
  });

  it('flow control - streams of one subscription share a burst', async () => {
    const { publish, open } = await withFeed();
    const streams = [open(), open()];
    await vi.waitFor(() => expect(streams.every(({ responses }) => responses.length === 1)).toBe(true));
    await Promise.all(Array.from({ length: 10 }, () => publish(numbered(100))));
    await vi.waitFor(() => expect(streams[0]!.received.length + streams[1]!.received.length).toBe(1000));
    for (const { received } of streams) expect(received.length).toBeGreaterThanOrEqual(300);
  });

  it('flow control - for a client that does not read, nothing but one response is leased (I8)', async () => {
    const { grpc, publish, open, api } = await withFeed({ streamLimits: { responseBytesMax: 100_000 } });
    const texts = numbered(100).map((text) => text.padEnd(10_000, '.'));
    for (let i = 0; i < 10; i++) await publish(texts); // 10 MB
    const deaf = open();
    deaf.call.pause();
    await vi.waitFor(() => expect(api.pubsub.counters().streamMessagesHeld).toBeGreaterThan(0));
    await settled(grpc);
    // One response, and what fits into the client's HTTP/2 window and its stream's buffer.
    expect(api.pubsub.counters().streamMessagesHeld).toBeLessThanOrEqual(300);
    const other = open();
    await vi.waitFor(() => expect(other.received.length).toBeGreaterThanOrEqual(700), 5000);
    deaf.call.cancel();
    await deaf.ended;
    await vi.waitFor(() => expect(api.pubsub.counters()).toMatchObject({ streams: 1 }));
    await vi.waitFor(() => expect(api.pubsub.counters().releasedMessages).toBeGreaterThan(0));
  });

  it('flow control - ordered messages come key by key, the next once the one before is acked (I5)', async () => {
    const { publish, open } = await withFeed({ fields: { enableMessageOrdering: true } });
    for (const text of numbered(6)) await publish([text], 'key');
    const stream = open({ maxOutstandingMessages: 2 });
    for (let acked = 0; acked < 6; ) {
      await vi.waitFor(() => expect(stream.received.length).toBeGreaterThan(acked));
      const ackIds = ackIdsOf(stream.received.slice(acked));
      acked += ackIds.length;
      stream.send({ ackIds });
    }
    expect(textsOf(stream)).toEqual(numbered(6));
  });
});

describe('deadlines of a stream', () => {
  it('StreamingPull - its own ack deadline holds, not that of the subscription, and may be changed', async () => {
    const { time, grpc, publish, open } = await withVirtualTime({ ackDeadlineSeconds: 600 });
    const stream = open({ streamAckDeadlineSeconds: 10 });
    await publish(['short']);
    await gets(stream, 1);
    time.advance(11_000);
    await gets(stream, 2);
    stream.send({ streamAckDeadlineSeconds: 300, ackIds: ackIdsOf(stream.received) });
    await settled(grpc);
    await publish(['first', 'second']); // the lease that waits still has the old deadline
    await gets(stream, 4);
    stream.send({ ackIds: ackIdsOf(stream.received) });
    await publish(['long']);
    await gets(stream, 5);
    time.advance(200_000);
    await settled(grpc);
    expect(textsOf(stream)).toEqual(['short', 'short', 'first', 'second', 'long']);
  });
});

describe('a stream ends', () => {
  it('StreamingPull - a deleted subscription ends it with NOT_FOUND, also when it is full', async () => {
    const { grpc, publish, open } = await withFeed();
    await publish(numbered(3));
    const [waiting, full] = [open({ maxOutstandingMessages: 2 }), open({ maxOutstandingMessages: 1 })];
    await vi.waitFor(() => expect(waiting.received.length + full.received.length).toBe(3));
    await grpc.call('DeleteSubscription', { subscription });
    expect(await waiting.ended).toMatchObject({ code: 'NOT_FOUND' });
    expect(await full.ended).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('StreamingPull - a detached subscription ends it with FAILED_PRECONDITION', async () => {
    const { grpc, open } = await withFeed();
    const stream = open();
    await vi.waitFor(() => expect(stream.responses.length).toBe(1));
    await grpc.call('DetachSubscription', { subscription });
    expect(await stream.ended).toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('StreamingPull - after about half an hour it ends with UNAVAILABLE', async () => {
    const { time, open } = await withVirtualTime();
    const stream = open();
    await vi.waitFor(() => expect(stream.responses.length).toBe(1));
    time.advance(26 * 60_000);
    time.advance(8 * 60_000);
    expect(await stream.ended).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('open another') });
  });

  it('StreamingPull - a server that closes ends it with UNAVAILABLE and waits for nothing else', async () => {
    const { api, open, publish } = await withFeed();
    const streams = [open(), open({ maxOutstandingMessages: 1 })];
    await publish(numbered(3));
    await vi.waitFor(() => expect(streams.every(({ responses }) => responses.length > 0)).toBe(true));
    const closed = api.http.close(10_000);
    for (const { ended } of streams) expect(await ended).toMatchObject({ code: 'UNAVAILABLE' });
    await closed;
    expect(api.http.counters()).toMatchObject({ callsOpen: 0 });
  });

  it('StreamingPull - what it had out stays leased, and can still be acked by a unary call', async () => {
    const { grpc, publish, open, stats } = await withFeed();
    await publish(['late']);
    const stream = open();
    await gets(stream, 1);
    stream.call.cancel();
    await stream.ended;
    const again = { subscription, maxMessages: 1, returnImmediately: true };
    expect((await grpc.call('Pull', again)).receivedMessages).toEqual([]);
    await grpc.call('Acknowledge', { subscription, ackIds: ackIdsOf(stream.received) });
    expect(await stats()).toMatchObject({ backlog: 0 });
  });

  it('StreamingPull - a thousand streams that came and went leave nothing behind (I8)', async () => {
    const { publish, open, api } = await withFeed();
    await publish(numbered(100));
    for (let round = 0; round < 20; round++) {
      const streams = Array.from({ length: 50 }, () => open({ maxOutstandingMessages: 1 }));
      await vi.waitFor(() => expect(streams.every(({ responses }) => responses.length > 0)).toBe(true));
      for (const { call } of streams) call.cancel();
      await Promise.all(streams.map(({ ended }) => ended));
    }
    await vi.waitFor(() => {
      expect(api.pubsub.counters()).toMatchObject({
        streams: 0,
        streamMessagesHeld: 0,
        streamsOpened: 1000,
        waitingPulls: 0,
      });
      expect(api.http.counters()).toMatchObject({ callsOpen: 0 });
    });
  });
});
