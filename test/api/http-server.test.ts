import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { Gauge } from 'prom-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { StoreHealth } from '../../src/store/store.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { type ApiUnderTest, base64, openApi } from './api-under-test.ts';

async function opened(options: Parameters<typeof openApi>[0] = {}): Promise<ApiUnderTest> {
  const api = await openApi(options);
  onTestFinished(() => api.close());
  return api;
}

async function withFeed(options: Parameters<typeof openApi>[0] = {}) {
  const api = await opened(options);
  const [topic, subscription] = ['projects/p/topics/feed', 'projects/p/subscriptions/feed'];
  await api.call('PUT', topic);
  await api.call('PUT', subscription, { topic });
  return { api, topic, pull: (body: object = { maxMessages: 1 }) => api.call('POST', `${subscription}:pull`, body) };
}

const get = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init);
  const text = await response.text();
  return { status: response.status, type: response.headers.get('content-type'), text };
};

const refusal = (status: number, code: string, says: string) => ({
  status,
  body: { error: { code: status, status: code, message: expect.stringContaining(says) } },
});

/** What the server answers to bytes that no HTTP client would send. */
async function answerTo(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {}); // a server that is done with a client may reset it
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

describe('what operators ask the server', () => {
  it('server - the front page, health and metrics answer', async () => {
    const { url, registry } = await opened();
    new Gauge({ name: 'headwater_test', help: 'x', registers: [registry] }).set(7);
    expect(await get(`${url}/`)).toMatchObject({ status: 200, text: expect.stringContaining('Headwater') });
    expect(await get(`${url}/healthz`)).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(await get(`${url}/metrics`)).toMatchObject({
      status: 200,
      text: expect.stringContaining('headwater_test 7'),
    });
  });

  it('readyz - it says what an acknowledgement is worth, from a real write', async () => {
    const { url, store } = await opened();
    const { level, durability } = await store.health();
    const { commits } = store.counters();
    const answer = await get(`${url}/readyz`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ status: 'ready', level, durability });
    expect(store.counters().commits).toBeGreaterThan(commits);
  });

  it('readyz - a store that cannot write is 503 with the problem, and 200 again when it can', async () => {
    const clock = virtualClock();
    let health: StoreHealth = {
      writable: false,
      level: 'fsynced',
      durability: 'fsynced',
      problem: 'The disk is full; make room.',
    };
    const { url } = await opened({ clock, health: async () => health });
    const red = await get(`${url}/readyz`);
    expect(red.status).toBe(503);
    expect(JSON.parse(red.text)).toEqual({
      status: 'not writable',
      problem: 'The disk is full; make room.',
      level: 'fsynced',
      durability: 'fsynced',
    });
    health = { writable: true, level: 'fsynced', durability: 'fsynced' };
    clock.advance(1000);
    expect((await get(`${url}/readyz`)).status).toBe(200);
  });

  it('readyz - however many ask, the store is written to at most once a second', async () => {
    const clock = virtualClock();
    const { url, http } = await opened({ clock });
    const askMany = () => Promise.all(Array.from({ length: 20 }, () => get(`${url}/readyz`)));
    await askMany();
    clock.advance(999);
    await askMany();
    expect(http.counters().readinessWrites).toBe(1);
    clock.advance(1);
    await askMany();
    expect(http.counters().readinessWrites).toBe(2);
  });

  it('openapi - it names every method that is served, and each path that it names is routed', async () => {
    const { url, api } = await opened().then((api) => ({ url: api.url, api }));
    const { paths } = JSON.parse((await get(`${url}/openapi.json`)).text);
    const operations = Object.entries<Record<string, { operationId: string }>>(paths).flatMap(([path, verbs]) =>
      Object.entries(verbs).map(([verb, { operationId }]) => ({ path, verb, operationId })),
    );
    expect(operations.map(({ operationId }) => operationId)).toContain('pubsub.projects.topics.publish');
    expect(operations).toHaveLength(24);
    for (const { path, verb } of operations) {
      const named = path.replace('/v1/', '').replace(/\{\w+\}/g, 'xyz');
      const { body } = await api.call(verb.toUpperCase(), named, verb === 'get' || verb === 'delete' ? undefined : {});
      expect(body.error?.message ?? '').not.toMatch(/There is no method|is not a method/);
    }
  });
});

describe('errors that no method makes', () => {
  it('errors - an unknown path, a bad percent sign and a bad content type are answered in the envelope', async () => {
    const api = await opened();
    for (const path of ['/v2/x', '/v1', '/nothing', '/v1x/projects']) {
      const { status, text } = await get(`${api.url}${path}`);
      expect({ status, body: JSON.parse(text) }).toMatchObject(refusal(404, 'NOT_FOUND', '/openapi.json'));
    }
    expect(await answerTo(api.url, 'GET /v1/projects/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 .*"INVALID_ARGUMENT"/s,
    );
    const odd = await api.call('PUT', 'projects/p/topics/odd', '{}', { headers: { 'content-type': 'nonsense' } });
    expect(odd).toMatchObject({ status: 400, body: { error: { status: 'INVALID_ARGUMENT' } } });
  });

  it('errors - a body is JSON whatever its content type says, as with curl -d', async () => {
    const { call } = await opened();
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json']) {
      const name = `projects/p/topics/${type.replace(/\W/g, '-')}`;
      expect(
        (await call('PUT', name, '{"labels":{"a":"b"}}', { headers: { 'content-type': type } })).body.labels,
      ).toEqual({ a: 'b' });
    }
  });

  it('errors - a compressed body is refused by name', async () => {
    const { call } = await opened();
    const answer = await call('PUT', 'projects/p/topics/zip', '{}', { headers: { 'content-encoding': 'gzip' } });
    expect(answer).toMatchObject(refusal(400, 'INVALID_ARGUMENT', 'Content-Encoding gzip'));
  });

  it('errors - what is not HTTP, and headers past the bound, are answered in the envelope', async () => {
    const { url } = await opened({ limits: { headerBytesMax: 4096 } });
    expect(await answerTo(url, 'HELLO\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*not an HTTP\/1.1 request/s);
    const long = `GET / HTTP/1.1\r\nHost: x\r\nCookie: ${'x'.repeat(5000)}\r\n\r\n`;
    expect(await answerTo(url, long)).toMatch(/^HTTP\/1.1 400 .*more than 4096 bytes/s);
  });

  it('errors - a bug is answered INTERNAL without its details, and logged with them', async () => {
    const broken = () => Promise.reject(new TypeError('secret detail'));
    const { call, log } = await opened({
      pubsub: (real) => ({ ...real, topics: { ...real.topics, get: broken } }) as never,
    });
    const { status, body } = await call('GET', 'projects/p/topics/any');
    expect({ status, body }).toMatchObject(refusal(500, 'INTERNAL', 'its log says more about request req-'));
    expect(body.error.message).not.toContain('secret');
    expect(JSON.parse(log[0]!)).toMatchObject({ msg: 'request failed', err: { message: 'secret detail' } });
    expect(body.error.message).toContain(JSON.parse(log[0]!).requestId);
  });

  it('errors - a web page of another origin may not use the API', async () => {
    const { call, url } = await opened();
    const from = (origin: string) => call('PUT', 'projects/p/topics/csrf', '{}', { headers: { origin } });
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1']) {
      expect(await from(origin)).toMatchObject(refusal(403, 'PERMISSION_DENIED', origin));
    }
    expect((await from(url)).status).toBe(200);
  });
});

describe('I8 bounds of the server', () => {
  it('bounds - a body past the bound is refused, and the connection serves the next request', async () => {
    const { api, topic } = await withFeed({ limits: { bodyBytesMax: 100_000 } });
    const messages = [{ data: base64('x'.repeat(100_000)) }];
    expect(await api.call('POST', `${topic}:publish`, { messages })).toMatchObject(
      refusal(400, 'INVALID_ARGUMENT', '100000 bytes'),
    );
    expect(api.http.counters()).toMatchObject({ bodiesRefused: 1, bodyBytesHeld: 0 });
    expect((await api.call('GET', topic)).status).toBe(200);
  });

  it('bounds - a client that never stops sending is answered, and then cut off', async () => {
    const { url, http } = await opened({ limits: { bodyBytesMax: 1000 } });
    const chunk = `${(1000).toString(16)}\r\n${'x'.repeat(1000)}\r\n`;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const closed = once(socket, 'close');
    socket.on('error', () => {}); // the reset, which is what it asks for
    socket.write('POST /v1/projects/p/topics/t:publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write(chunk + chunk);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 400 .*more than 1000 bytes/s);
    const sending = setInterval(() => socket.write(chunk), 1);
    await closed;
    clearInterval(sending);
    expect(http.counters()).toMatchObject({ requestsOpen: 0, bodyBytesHeld: 0, bodiesRefused: 1 });
  });

  it('bounds - bodies that are being read share a bound, and give it back', async () => {
    const { url, http, call } = await opened({ limits: { bodiesBytesMax: 1000 } });
    const slow = httpRequest(`${url}/v1/projects/p/topics/slow`, { method: 'PUT' });
    slow.write(' '.repeat(800));
    await vi.waitFor(() => expect(http.counters().bodyBytesHeld).toBe(800));
    const other = await call('PUT', 'projects/p/topics/other', ' '.repeat(300));
    expect(other).toMatchObject(refusal(429, 'RESOURCE_EXHAUSTED', 'try again'));
    slow.end('{}');
    const [response] = await once(slow, 'response');
    expect(response.statusCode).toBe(200);
    response.resume();
    await vi.waitFor(() => expect(http.counters().bodyBytesHeld).toBe(0));
    expect((await call('PUT', 'projects/p/topics/other', `${' '.repeat(300)}{}`)).status).toBe(200);
  });

  it('bounds - past so many pulls that wait the next is refused, but one that does not wait is not', async () => {
    const { api, pull } = await withFeed({ limits: { pullsWaitingMax: 2 } });
    const waiting = [pull(), pull()];
    await vi.waitFor(() => expect(api.http.counters().pullsWaiting).toBe(2));
    expect(await pull()).toMatchObject(refusal(429, 'RESOURCE_EXHAUSTED', '2 pulls wait'));
    expect(api.http.counters().pullsRefused).toBe(1);
    expect(await pull({ maxMessages: 1, returnImmediately: true })).toEqual({ status: 200, body: {} });
    void api.http.close(5000);
    await Promise.all(waiting);
  });

  it('bounds - a pull waits no longer than it may, and answers with an empty object', async () => {
    const { pull } = await withFeed({ limits: { pullWaitMs: 20 } });
    expect(await pull()).toEqual({ status: 200, body: {} });
  });

  it('bounds - messages for which there is no room in replies are given back', async () => {
    const { api, topic, pull } = await withFeed({ limits: { repliesBytesMax: 10 } });
    await api.call('POST', `${topic}:publish`, { messages: [{ data: base64('eleven byte') }] });
    expect(await pull()).toMatchObject(refusal(429, 'RESOURCE_EXHAUSTED', 'too slow'));
    const { subscriptions } = api.pubsub;
    await vi.waitFor(async () =>
      expect((await subscriptions.stats('projects/p/subscriptions/feed')).outstanding).toBe(0),
    );
  });

  it('bounds - a client that is slow with its headers is answered and cut off', async () => {
    const { url } = await opened({ limits: { headersTimeoutMs: 100 } });
    expect(await answerTo(url, 'GET / HTTP/1.1\r\nHost: x\r\n')).toMatch(/^HTTP\/1.1 504 .*not complete in time/s);
  });

  it('bounds - a connection is not cut for its silence while its pull may wait', async () => {
    const { pull } = await withFeed({ limits: { silenceTimeoutMs: 50, pullWaitMs: 300 } });
    expect(await pull()).toEqual({ status: 200, body: {} });
  });

  it('counters - requests are counted by method and status', async () => {
    const { api, topic } = await withFeed();
    await api.call('PUT', topic);
    await api.call('GET', 'projects/p/nonsense');
    expect(Object.fromEntries(api.http.counters().requestsByOutcome)).toEqual({
      'pubsub.projects.topics.create 200': 1,
      'pubsub.projects.topics.create 409': 1,
      'pubsub.projects.subscriptions.create 200': 1,
      'unknown 404': 1,
    });
  });
});

describe('the life of the server', () => {
  it('close - pulls that wait are answered, requests in flight finish, then the port is free', async () => {
    const { api, pull, topic } = await withFeed();
    const waiting = pull();
    const slow = httpRequest(`${api.url}/v1/${topic}:publish`, { method: 'POST' });
    const answered = once(slow, 'response');
    slow.write('{"messages":[{"data":');
    await vi.waitFor(() => expect(api.http.counters()).toMatchObject({ pullsWaiting: 1, requestsOpen: 2 }));
    const closed = api.http.close(10_000);
    expect(await waiting).toEqual({ status: 200, body: {} });
    slow.end('"eA=="}]}');
    const [response] = await answered;
    expect(response.statusCode).toBe(200);
    response.resume();
    await closed;
    await expect(fetch(api.url)).rejects.toThrow();
  });

  it('close - a request that does not finish is cut at the deadline', async () => {
    const { api } = await withFeed();
    const stuck = httpRequest(`${api.url}/v1/projects/p/topics/stuck`, { method: 'PUT' });
    const cut = once(stuck, 'error');
    stuck.write('{');
    await vi.waitFor(() => expect(api.http.counters().requestsOpen).toBe(1));
    await api.http.close(50);
    expect((await cut)[0]).toBeInstanceOf(Error);
    expect(api.http.counters().requestsOpen).toBe(0);
  });

  it('listen - a port that is taken is named, with what to do', async () => {
    const [one, two] = [await opened(), await opened()];
    const { port } = new URL(one.url);
    await two.http.close(0);
    await expect(two.http.listen({ host: '127.0.0.1', port: Number(port) })).rejects.toThrow(
      `Cannot serve HTTP on 127.0.0.1:${port}: the port is taken; choose another with --http-port.`,
    );
  });
});
