import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { PushConfig } from '../../src/domain/push-config.ts';
import type { SubscriptionSettings } from '../../src/domain/subscription-settings.ts';
import { PushEndpoint } from '../support/push-endpoint.ts';
import { expectRefusal } from '../support/refusal.ts';
import {
  type Core,
  endCores,
  messageOf,
  minuteMs,
  openCore,
  secondMs,
  subscriptionName,
  telemetry,
  textsOf,
  topicName,
  worker,
} from './core.ts';

const egress = { loopback: true, allow: [] };
/** Most tests are about what a rest does, not about when the first one comes. */
const loopback = { egress, limits: { pushFailuresBeforeRest: 1 } };
const poll = { timeout: 10_000, interval: 5 };
const endpoints: PushEndpoint[] = [];

async function endpoint(...from: Parameters<typeof PushEndpoint.start>): Promise<PushEndpoint> {
  const started = await PushEndpoint.start(...from);
  endpoints.push(started);
  return started;
}

afterEach(async () => {
  await endCores();
  for (const each of endpoints.splice(0)) await each.stop();
});

/** A core whose subscription `worker` pushes to `to`. */
async function pushingCore(
  to: PushEndpoint,
  settings: Partial<SubscriptionSettings> = {},
  limits: object = {},
): Promise<Core> {
  const core = await openCore({}, { egress, limits: { ...loopback.limits, ...limits } });
  await core.topic();
  await core.subscription({ push: { endpoint: to.url() }, ...settings });
  return core;
}

const backlog = async (core: Core, name = worker) => (await core.subscriptions.stats(name)).backlog;
/** Time goes on while the test waits. */
const settledLater = (core: Core, name = worker) => {
  const look = () => {
    core.time.advance(100);
    return backlog(core, name);
  };
  return expect.poll(look, poll).toBe(0);
};
const settled = (core: Core, name = worker) => expect.poll(() => backlog(core, name), poll).toBe(0);
const resting = (core: Core) => expect.poll(() => core.push.health(worker)?.backOffMs, poll).toBeGreaterThan(0);

describe('push - delivery', () => {
  it('a message is POSTed in Google’s JSON and acked by the answer', async () => {
    const to = await endpoint();
    const core = await pushingCore(to, { enableMessageOrdering: true });
    const message = messageOf('12 °C', { attributes: { deviceId: 'd-1' }, orderingKey: 'd-1' });
    const [messageId] = await core.publisher.publish(telemetry, [message]);
    const [request] = await to.received(1);
    const publishTime = new Date(core.time.clock()).toISOString();
    expect(request).toMatchObject({ method: 'POST', path: '/push' });
    expect(request!.headers).toMatchObject({ 'content-type': 'application/json', accept: 'application/json' });
    expect(request!.headers.authorization).toBeUndefined();
    expect(request!.json).toEqual({
      message: {
        attributes: { deviceId: 'd-1' },
        data: Buffer.from('12 °C').toString('base64'),
        ...{ messageId, message_id: messageId, publishTime, publish_time: publishTime },
        orderingKey: 'd-1',
      },
      subscription: worker,
    });
    await settled(core);
    const nothingLeft = { pushesAcked: 1, pushRequestsOpen: 0, pushMessagesHeld: 0, pushBytesHeld: 0 };
    await expect.poll(() => core.counters(), poll).toMatchObject(nothingLeft);
  });

  it('what a message does not have is not in its JSON', async () => {
    const to = await endpoint();
    const core = await pushingCore(to);
    await core.publisher.publish(telemetry, [messageOf('', { attributes: { only: 'this' } })]);
    const [request] = await to.received(1);
    const keys = ['attributes', 'messageId', 'message_id', 'publishTime', 'publish_time'];
    expect(Object.keys(request!.json.message)).toEqual(keys);
    expect(Object.keys(request!.json)).toEqual(['message', 'subscription']);
  });

  it('unwrapped: the data is the body, and nothing else is said', async () => {
    const to = await endpoint();
    const core = await pushingCore(to, {
      push: { endpoint: to.url(), wrapper: { kind: 'none', writeMetadata: false } },
    });
    await core.publisher.publish(telemetry, [messageOf('\0raw', { attributes: { 'Content-Type': 'text/csv' } })]);
    const [request] = await to.received(1);
    expect(request!.body.toString()).toBe('\0raw');
    expect(request!.headers['content-type']).toBe('application/octet-stream');
    expect(Object.keys(request!.headers).filter((name) => name.startsWith('x-goog'))).toEqual([]);
  });

  it('unwrapped with metadata: attributes and metadata are headers; what would forge the request is left out and counted', async () => {
    const to = await endpoint();
    const core = await pushingCore(to, {
      enableMessageOrdering: true,
      push: { endpoint: to.url(), wrapper: { kind: 'none', writeMetadata: true } },
    });
    const attributes = {
      ...{ 'Content-Type': 'text/csv', deviceId: 'd-1', place: 'Ålesund' },
      ...{ 'two words': 'x', 'Content-Length': '1', Authorization: 'Bearer forged', 'x-goog-pubsub-message-id': '1' },
      ...{ Host: 'elsewhere', breaks: 'a\r\nb: c', __proto__x: 'kept' },
    };
    const [id] = await core.publisher.publish(telemetry, [messageOf('a;b', { attributes, orderingKey: 'd-1' })]);
    const [{ headers, body }] = (await to.received(1)) as [(typeof to.requests)[0]];
    expect(body.toString()).toBe('a;b');
    expect(headers).toMatchObject({
      ...{ 'content-type': 'text/csv', deviceid: 'd-1', __proto__x: 'kept' },
      'x-goog-pubsub-subscription-name': worker,
      'x-goog-pubsub-message-id': id,
      'x-goog-pubsub-publish-time': new Date(core.time.clock()).toISOString(),
      'x-goog-pubsub-ordering-key': 'd-1',
    });
    expect(Buffer.from(headers.place as string, 'latin1').toString()).toBe('Ålesund');
    expect(headers.authorization).toBeUndefined();
    expect(headers.host).toBe(`127.0.0.1:${to.port}`);
    await settled(core);
    expect(core.counters().pushAttributesLeftOut).toBe(6);
  });

  for (const status of [200, 201, 202, 204]) {
    it(`HTTP ${status} is an ack`, async () => {
      const to = await endpoint(() => status);
      const core = await pushingCore(to);
      await core.send(['one']);
      await settled(core);
      expect(core.counters()).toMatchObject({ pushesAcked: 1, nackedMessages: 0 });
    });
  }

  it('HTTP 102 is an ack, whatever comes after it', async () => {
    const to = await endpoint((_request, response) => {
      response.writeProcessing();
      return undefined; // and never more
    });
    const core = await pushingCore(to);
    await core.send(['one']);
    await settled(core);
    expect(core.counters()).toMatchObject({ pushesAcked: 1, nackedMessages: 0 });
  });

  for (const [status, counter] of [
    [203, 'pushesInvalid'],
    [206, 'pushesInvalid'],
    [302, 'pushesInvalid'],
    [400, 'pushesRemoteServer4xx'],
    [404, 'pushesRemoteServer4xx'],
    [500, 'pushesRemoteServer5xx'],
    [503, 'pushesRemoteServer5xx'],
  ] as const) {
    it(`HTTP ${status} is a nack, and the message comes again`, async () => {
      const to = await endpoint((request) => (to.requests[0] === request ? status : 204));
      const core = await pushingCore(to);
      await core.send(['one']);
      await resting(core);
      core.time.advance(100);
      await settled(core);
      expect(to.texts).toEqual(['one', 'one']);
      expect(core.counters()).toMatchObject({ [counter]: 1, pushesAcked: 1, nackedMessages: 1 });
    });
  }

  it('a redirect is not followed', async () => {
    const elsewhere = await endpoint();
    const to = await endpoint((_request, response) => {
      response.writeHead(307, { location: elsewhere.url() }).end();
      return undefined;
    });
    const core = await pushingCore(to);
    await core.send(['one']);
    await resting(core);
    expect(elsewhere.requests).toEqual([]);
    expect(core.push.health(worker)).toMatchObject({ state: 'failing', lastFailure: { detail: 'HTTP 307' } });
  });

  it('no answer within the ack deadline is a nack, and the request is aborted', async () => {
    let aborted: Promise<unknown> | undefined;
    const to = await endpoint((request, response) => {
      if (to.requests[0] !== request) return 204;
      aborted = once(response, 'close');
      return undefined;
    });
    const core = await pushingCore(to, { ackDeadlineMs: 20 * secondMs });
    await core.send(['one']);
    await to.received(1);
    core.time.advance(20 * secondMs - 1);
    expect(core.counters()).toMatchObject({ pushesDeadlineExceeded: 0, pushRequestsOpen: 1 });
    core.time.advance(1);
    await aborted;
    await resting(core);
    core.time.advance(100);
    await settled(core);
    expect(core.counters()).toMatchObject({ pushesDeadlineExceeded: 1, pushesAcked: 1, nackedMessages: 1 });
  });

  it('the lease outlasts the request: the message is with nobody else while its answer is awaited', async () => {
    const to = await endpoint(() => undefined);
    const core = await pushingCore(to);
    await core.send(['one']);
    await to.received(1);
    core.time.advance(10 * secondMs - 1);
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 1, outstanding: 1 });
    expect(to.requests).toHaveLength(1);
  });

  it('an endpoint that nobody listens at is unreachable, and rested from', async () => {
    const gone = await PushEndpoint.start();
    const url = gone.url();
    await gone.stop();
    const core = await openCore({}, loopback);
    await core.topic();
    await core.subscription({ push: { endpoint: url } });
    await core.send(['one']);
    await resting(core);
    expect(core.counters()).toMatchObject({ pushesUnreachable: 1, pushSubscriptionsResting: 1 });
    expect(core.push.health(worker)!.lastFailure!.detail).toContain('ECONNREFUSED');
  });

  it('an endpoint that talks garbage, or hangs up, is nacked', async () => {
    const to = await endpoint((_request, response) => {
      const { socket } = response;
      if (to.requests.length === 1) socket!.end('garbage\r\n\r\n');
      else socket!.destroy();
      return undefined;
    });
    const core = await pushingCore(to);
    await core.send(['one']);
    await resting(core);
    core.time.advance(100);
    await expect.poll(() => core.counters(), poll).toMatchObject({ pushesInvalid: 1, pushesUnreachable: 1 });
  });

  it('an answer that does not end is cut off, and its status counts', async () => {
    const to = await endpoint((_request, response) => {
      response.writeHead(200);
      response.on('error', () => undefined);
      const more = () => response.writable && response.write(Buffer.alloc(64 * 1024), more);
      more();
      return undefined;
    });
    const core = await pushingCore(to);
    await core.send(['one']);
    await settled(core);
    expect(core.counters().pushesAcked).toBe(1);
  });

  it('connections are used again', async () => {
    const to = await endpoint();
    const core = await pushingCore(to, {}, { pushWindowMax: 4 });
    await core.send(Array.from({ length: 40 }, (_, i) => `m${i}`));
    await to.received(40);
    await settled(core);
    expect(to.connections).toBeLessThanOrEqual(4);
  });

  it('a kept connection that the endpoint has closed is not a failure of the message', async () => {
    const to = await endpoint((_request, response) => {
      response.setHeader('connection', 'keep-alive');
      if (to.requests.length === 2)
        response.socket!.destroy(); // as if it had closed before it read the request
      else response.writeHead(204).end();
      return undefined;
    });
    const core = await pushingCore(to);
    await core.send(['one']);
    await settled(core);
    await core.send(['two']);
    await settled(core);
    expect(to.texts).toEqual(['one', 'two', 'two']);
    expect(core.counters()).toMatchObject({ pushesAcked: 2, nackedMessages: 0, pushesUnreachable: 0 });
  });
});

describe('push - pace', () => {
  it('begins with few requests, has more out with each success, and half as many after a failure', async () => {
    let open = 0;
    let release: ((status: number) => void)[] = [];
    const to = await endpoint(() => {
      open++;
      return new Promise<number>((answer) => release.push(answer)).finally(() => open--);
    });
    const core = await pushingCore(to, {}, { pushWindowStart: 2, pushWindowMax: 6 });
    await core.send(Array.from({ length: 40 }, (_, i) => `m${i}`));
    const answerAll = (status: number) => {
      for (const answer of release.splice(0)) answer(status);
    };
    await expect.poll(() => open, poll).toBe(2);
    answerAll(204);
    await expect.poll(() => open, poll).toBe(4);
    answerAll(204);
    await expect.poll(() => open, poll).toBe(6);
    answerAll(204);
    await expect.poll(() => [open, core.push.health(worker)!.requestsMax], poll).toEqual([6, 6]);
    release.pop()!(500);
    await expect.poll(() => core.push.health(worker)!.requestsMax, poll).toBe(3);
    release = release.splice(0);
    answerAll(204);
  });

  it('rests 100 ms after a failure, then twice as long, up to 60 s; one success ends it', async () => {
    let status = 500;
    const to = await endpoint(() => status);
    const core = await pushingCore(to);
    await core.send(['one']);
    const rests: number[] = [];
    for (let failures = 1; failures <= 12; failures++) {
      await expect
        .poll(() => [to.requests.length, core.push.health(worker)!.backOffMs > 0], poll)
        .toEqual([failures, true]);
      await expect.poll(() => core.counters().nackedMessages, poll).toBe(failures);
      const { backOffMs } = core.push.health(worker)!;
      rests.push(backOffMs);
      if (failures === 12) status = 204;
      core.time.advance(backOffMs - 1);
      expect(to.requests.length).toBe(failures);
      core.time.advance(1);
    }
    expect(rests).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
    await settled(core);
    expect(core.push.health(worker)).toMatchObject({ state: 'working', backOffMs: 0 });
    expect(core.warnings.map(({ msg }) => msg)).toEqual([expect.stringContaining('does not take messages')]);
  });

  it('does not rest from failures among successes, only from several in a row', async () => {
    let failing = false;
    const to = await endpoint(() => (failing || to.requests.length % 3 !== 0 ? 500 : 204));
    const core = await pushingCore(to, {}, { pushFailuresBeforeRest: 3, pushWindowStart: 1, pushWindowMax: 1 });
    await core.send(Array.from({ length: 10 }, (_, i) => `m${i}`));
    await settled(core); // in no time: two of three requests failed
    expect(to.requests).toHaveLength(30);
    failing = true;
    await core.send(['one']);
    await resting(core);
    await expect.poll(() => core.counters().nackedMessages, poll).toBe(23);
    expect(core.push.health(worker)!.backOffMs).toBe(100);
  });

  it('a message rests by the retry policy of its subscription, whatever becomes of the others', async () => {
    const to = await endpoint(() => (to.requests.length === 1 ? 500 : 204));
    const core = await pushingCore(to, { retry: { minimumBackoffMs: 30 * secondMs, maximumBackoffMs: 60 * secondMs } });
    await core.send(['bad']);
    await resting(core);
    await expect.poll(() => core.counters().nackedMessages, poll).toBe(1);
    core.time.advance(secondMs);
    await core.send(['good']);
    await to.received(2);
    const failedMs = core.time.clock() - secondMs;
    await settledLater(core);
    expect(to.texts).toEqual(['bad', 'good', 'bad']);
    expect(core.time.clock() - failedMs).toBeGreaterThanOrEqual(30 * secondMs);
  });

  it('an endpoint that never answers does not stop the other subscriptions (I8)', async () => {
    const silent = await endpoint(() => undefined);
    const lively = await endpoint();
    const core = await pushingCore(silent, {}, { pushRequestsMax: 6, pushWindowStart: 50, pushWindowMax: 50 });
    const others = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((id) => subscriptionName(`other-${id}`));
    await core.send(Array.from({ length: 20 }, (_, i) => `m${i}`));
    await silent.received(6);
    for (const name of others) await core.subscription({ name, push: { endpoint: lively.url() } });
    await core.send(['late']);
    expect(lively.requests).toEqual([]); // all of the node's requests are taken, until their deadline
    core.time.advance(10 * secondMs);
    for (const name of others) {
      await settledLater(core, name);
    }
    expect(lively.texts).toEqual(others.map(() => 'late'));
    expect(core.counters().pushRequestsOpen).toBeLessThanOrEqual(6);
  });
});

describe('push - ordering', () => {
  it('one request per key is out, in order, and keys do not wait for each other (I5)', async () => {
    const open = new Map<string, number>();
    let most = 0;
    const to = await endpoint(async ({ json }) => {
      const key = json.message.orderingKey;
      open.set(key, (open.get(key) ?? 0) + 1);
      most = Math.max(most, ...open.values());
      await new Promise((later) => setImmediate(later));
      open.set(key, open.get(key)! - 1);
      return 204;
    });
    const core = await pushingCore(to, { enableMessageOrdering: true });
    for (let i = 0; i < 30; i++) for (const key of ['a', 'b', 'c']) await core.send([`${key}${i}`], key);
    await settled(core);
    expect(most).toBe(1);
    for (const key of ['a', 'b', 'c']) {
      expect(to.texts.filter((text) => text.startsWith(key))).toEqual(
        Array.from({ length: 30 }, (_, i) => `${key}${i}`),
      );
    }
  });

  it('when one fails, those behind it wait, and come after it (I5)', async () => {
    const to = await endpoint(({ text }) =>
      text === 'a1' && to.texts.filter((sent) => sent === 'a1').length === 1 ? 500 : 204,
    );
    const core = await pushingCore(to, { enableMessageOrdering: true });
    await core.publisher.publish(
      telemetry,
      ['a0', 'a1', 'a2', 'a3'].map((text) => messageOf(text, { orderingKey: 'a' })),
    );
    await resting(core);
    core.time.advance(100);
    await settled(core);
    expect(to.texts).toEqual(['a0', 'a1', 'a1', 'a2', 'a3']);
  });

  it('a key that waits long is leased anew rather than sent twice', async () => {
    const answers: ((status: number) => void)[] = [];
    const to = await endpoint(() => new Promise<number>((answer) => answers.push(answer)));
    const core = await pushingCore(to, { enableMessageOrdering: true });
    const texts = ['a0', 'a1', 'a2', 'a3'];
    await core.publisher.publish(
      telemetry,
      texts.map((text) => messageOf(text, { orderingKey: 'a' })),
    );
    for (let sent = 1; sent <= texts.length; sent++) {
      await to.received(sent);
      core.time.advance(9 * secondMs); // slow, but within the ack deadline each time
      answers.shift()!(200);
    }
    await settled(core);
    expect(to.texts).toEqual(texts);
    expect(core.counters()).toMatchObject({ pushesAcked: 4, nackedMessages: 0 });
  });
});

describe('push - dead letters', () => {
  it('deliveryAttempt counts, and a message that fails too often goes to the dead letter topic', async () => {
    const to = await endpoint(() => 500);
    const core = await openCore({}, loopback);
    await core.topic();
    await core.topic(topicName('dead'));
    await core.subscription({
      push: { endpoint: to.url() },
      deadLetter: { topic: topicName('dead'), deliveryAttemptsMax: 5 },
    });
    await core.subscription({ name: subscriptionName('dead'), topic: topicName('dead') });
    await core.send(['poison']);
    for (let attempt = 1; attempt < 5; attempt++) {
      await expect.poll(() => core.counters().nackedMessages, poll).toBe(attempt);
      await resting(core);
      core.time.advance(minuteMs);
    }
    await settled(core);
    expect(to.requests.map(({ json }) => json.deliveryAttempt)).toEqual([1, 2, 3, 4, 5]);
    expect(textsOf(await core.take(10, subscriptionName('dead')))).toEqual(['poison']);
  });
});

describe('push - changes of the configuration', () => {
  it('a push subscription cannot be pulled', async () => {
    const core = await pushingCore(await endpoint());
    await expectRefusal(() => core.take(), 'FAILED_PRECONDITION', 'pushes');
    const pull = core.subscriber.pull(worker, { messagesMax: 1, bytesMax: 1 }, new AbortController().signal);
    await expectRefusal(() => pull, 'FAILED_PRECONDITION', 'pushes');
  });

  it('a pull that waits is told when the subscription begins to push', async () => {
    const to = await endpoint();
    const core = await openCore({}, loopback);
    await core.topic();
    await core.subscription();
    const pull = core.subscriber.pull(worker, { messagesMax: 1, bytesMax: 1 }, new AbortController().signal);
    const refused = expectRefusal(() => pull, 'FAILED_PRECONDITION', 'pushes');
    await core.subscriptions.modifyPushConfig(worker, { endpoint: to.url() });
    await refused;
    await core.send(['one']);
    await settledLater(core);
    expect(to.texts).toEqual(['one']);
  });

  it('what was published while it was pulled is pushed once it pushes', async () => {
    const to = await endpoint();
    const core = await openCore({}, loopback);
    await core.topic();
    await core.subscription();
    await core.send(['one', 'two']);
    await core.subscriptions.modifyPushConfig(worker, { endpoint: to.url() });
    await settled(core);
    expect(to.texts.toSorted()).toEqual(['one', 'two']);
  });

  it('switched to pull midway, every message is pushed or pulled, and none is lost (I3)', async () => {
    const to = await endpoint();
    const core = await pushingCore(to, {}, { pushWindowMax: 4 });
    const texts = Array.from({ length: 300 }, (_, i) => `m${i}`);
    await core.publisher.publish(
      telemetry,
      texts.map((text) => messageOf(text)),
    );
    await to.received(50);
    await core.subscriptions.modifyPushConfig(worker, undefined);
    await expect.poll(() => core.counters().pushRequestsOpen, poll).toBe(0);
    await expect.poll(() => core.subscriptions.stats(worker), poll).toMatchObject({ outstanding: 0 });
    const pushed = to.requests.length;
    const pulled = textsOf(await core.take(1000));
    expect([...to.texts, ...pulled].toSorted()).toEqual(texts.toSorted());
    expect(pulled.length).toBeGreaterThan(0);
    expect(to.requests.length).toBe(pushed);
    expect(core.push.health(worker)).toBeUndefined();
  });

  it('another endpoint takes over midway, beginning anew, and none is lost (I3)', async () => {
    const first = await endpoint(() => 500);
    const second = await endpoint();
    const core = await pushingCore(first);
    const texts = Array.from({ length: 20 }, (_, i) => `m${i}`);
    await core.send(texts);
    await resting(core);
    await core.subscriptions.modifyPushConfig(worker, { endpoint: second.url() });
    await settled(core); // without waiting for the rest that the first one was given
    expect(second.texts.toSorted()).toEqual(texts.toSorted());
    expect(core.push.health(worker)).toMatchObject({
      endpoint: second.url(),
      state: 'working',
      lastFailure: undefined,
    });
  });

  it('deleted and detached subscriptions push no more', async () => {
    const to = await endpoint();
    const core = await pushingCore(to);
    await core.subscription({ name: subscriptionName('detached'), push: { endpoint: to.url() } });
    await core.subscriptions.delete(worker);
    await core.subscriptions.detach(subscriptionName('detached'));
    await expect.poll(() => core.counters().pushSubscriptions, poll).toBe(0);
    await core.send(['one']);
    core.time.advance(minuteMs);
    expect(to.requests).toEqual([]);
  });

  it('a subscription of a deleted topic pushes what it holds', async () => {
    const to = await endpoint(() => 500);
    const core = await pushingCore(to);
    await core.send(['one']);
    await resting(core);
    await core.topics.delete(telemetry);
    to.answer = () => 204;
    await settledLater(core);
  });

  it('a seek back pushes again', async () => {
    const to = await endpoint();
    const core = await pushingCore(to, { retainAckedMessages: true });
    await core.send(['one']);
    await settled(core);
    await core.subscriptions.seek(worker, { timeMs: 0 });
    await to.received(2);
    await settled(core);
    expect(to.texts).toEqual(['one', 'one']);
  });

  it('a configuration that is changed keeps its version when it names none', async () => {
    const core = await pushingCore(await endpoint());
    const at = (push: PushConfig) => core.subscriptions.modifyPushConfig(worker, push);
    await at({ endpoint: 'https://example.com/a', version: 'v1beta2' });
    await at({ endpoint: 'https://example.com/b' });
    expect((await core.subscriptions.get(worker)).push).toEqual({
      endpoint: 'https://example.com/b',
      version: 'v1beta2',
    });
    await at({ endpoint: 'https://example.com/b', version: 'v1' });
    expect((await core.subscriptions.get(worker)).push!.version).toBe('v1');
  });
});

describe('push - restarts and ends', () => {
  it('goes on after a restart with what was not acked', async () => {
    const to = await endpoint(() => 500);
    const core = await pushingCore(to);
    await core.send(['one']);
    await resting(core);
    to.answer = () => 204;
    const again = await core.restart();
    await settled(again);
    expect(new Set(to.texts)).toEqual(new Set(['one']));
  });

  it('at the end requests under way may finish', async () => {
    let answer: (status: number) => void = () => undefined;
    const to = await endpoint(() => new Promise<number>((resolve) => (answer = resolve)));
    const core = await pushingCore(to);
    await core.send(['one']);
    await to.received(1);
    const closed = core.push.close(10 * secondMs);
    answer(200);
    await closed;
    expect(await backlog(core)).toBe(0);
    expect(core.counters()).toMatchObject({ pushesAcked: 1, pushesCut: 0 });
  });

  it('those that do not finish are cut, and their messages go back at once, not as an attempt', async () => {
    const to = await endpoint(() => undefined);
    const core = await pushingCore(to);
    await core.send(['one', 'two']);
    await to.received(2);
    const closed = core.push.close(5 * secondMs);
    core.time.advance(5 * secondMs - 1);
    expect(core.counters()).toMatchObject({ pushesCut: 0, pushRequestsOpen: 2 });
    core.time.advance(1);
    await closed;
    expect(core.counters()).toMatchObject({ pushRequestsOpen: 0, nackedMessages: 0, pushMessagesHeld: 0 });
    expect(await core.subscriptions.stats(worker)).toMatchObject({ backlog: 2, outstanding: 0 });
  });
});
