import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { PubSub } from '@google-cloud/pubsub';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { PushEndpoint } from '../support/push-endpoint.ts';
import { type ApiUnderTest, base64, openApi } from './api-under-test.ts';

const project = 'projects/p';
const topic = `${project}/topics/telemetry`;
const name = `${project}/subscriptions/worker`;
const endpoint = 'https://example.com/push';
let api: ApiUnderTest;
const endpoints: PushEndpoint[] = [];

beforeAll(async () => {
  api = await openApi({ push: { egress: { loopback: true, allow: [] }, issuer: () => api.url } });
  await api.call('PUT', topic);
});
afterAll(() => api.close());
afterEach(async () => {
  await api.call('DELETE', name);
  for (const each of endpoints.splice(0)) await each.stop();
});

async function started(...from: Parameters<typeof PushEndpoint.start>): Promise<PushEndpoint> {
  const to = await PushEndpoint.start(...from);
  endpoints.push(to);
  return to;
}

const create = (pushConfig: object, rest: object = {}) => api.call('PUT', name, { topic, pushConfig, ...rest });

describe('push over REST', () => {
  const withVersion = { attributes: { 'x-goog-version': 'v1' } };
  it.each([
    [{ pushEndpoint: endpoint }, { pushEndpoint: endpoint, ...withVersion }],
    [
      { pushEndpoint: endpoint, attributes: { 'x-goog-version': 'v1beta2' } },
      { pushEndpoint: endpoint, attributes: { 'x-goog-version': 'v1beta2' } },
    ],
    [
      { push_endpoint: endpoint, oidc_token: { service_account_email: 'a@b.c', audience: 'x' }, no_wrapper: {} },
      {
        ...{ pushEndpoint: endpoint, ...withVersion },
        oidcToken: { serviceAccountEmail: 'a@b.c', audience: 'x' },
        noWrapper: {},
      },
    ],
    [
      { pushEndpoint: endpoint, noWrapper: { writeMetadata: true } },
      { pushEndpoint: endpoint, ...withVersion, noWrapper: { writeMetadata: true } },
    ],
    [
      { pushEndpoint: endpoint, pubsubWrapper: {} },
      { pushEndpoint: endpoint, ...withVersion, pubsubWrapper: {} },
    ],
    [{}, {}],
    [{ pushEndpoint: '', attributes: {} }, {}],
    [{ attributes: { 'x-goog-version': 'v1' } }, {}],
  ])('push over REST - %j is kept and shown', async (given, shown) => {
    expect(await create(given)).toMatchObject({ status: 200, body: { pushConfig: shown } });
    expect((await api.call('GET', name)).body.pushConfig).toEqual(shown);
    expect(
      await api.call('PATCH', name, { subscription: { pushConfig: shown }, updateMask: 'pushConfig' }),
    ).toMatchObject({
      body: { pushConfig: shown },
    });
  });

  it.each([
    [{ pushEndpoint: 'nowhere' }, 'is not a URL'],
    [{ pushEndpoint: 'http://example.com/' }, 'use https'],
    [{ pushEndpoint: 'https://10.0.0.1/' }, 'not a public address'],
    [{ pushEndpoint: endpoint, oidcToken: { audience: 'a' } }, 'service_account_email'],
    [{ oidcToken: { serviceAccountEmail: 'a@b.c' } }, 'no pushEndpoint'],
    [{ noWrapper: {} }, 'no pushEndpoint'],
    [{ pushEndpoint: endpoint, noWrapper: {}, pubsubWrapper: {} }, 'both'],
    [{ pushEndpoint: endpoint, attributes: { 'x-goog-version': 'v1beta1' } }, 'v1 or v1beta2'],
    [{ pushEndpoint: endpoint, attributes: { color: 'red' } }, 'x-goog-version'],
    [{ pushEndpoint: endpoint, headers: {} }, 'Unknown field'],
    [{ pushEndpoint: 1 }, 'a string'],
    ['https://example.com/', 'a JSON object'],
  ])('push over REST - %j is refused with a sentence (I9)', async (given, sentence) => {
    const refused = { status: 400, body: { error: { status: 'INVALID_ARGUMENT' } } };
    const answer = await create(given as object);
    expect(answer).toMatchObject(refused);
    expect(answer.body.error.message).toContain(sentence);
    await create({});
    expect(await api.call('POST', `${name}:modifyPushConfig`, { pushConfig: given })).toMatchObject(refused);
    expect((await api.call('GET', name)).body.pushConfig).toEqual({});
  });

  it('push over REST - it does not go with exactly-once delivery', async () => {
    const answer = await create({ pushEndpoint: endpoint }, { enableExactlyOnceDelivery: true });
    expect(answer).toMatchObject({ status: 400, body: { error: { status: 'INVALID_ARGUMENT' } } });
  });

  it('push over REST - modifyPushConfig turns pull into push and back; pull is refused in between', async () => {
    const to = await started();
    await create({});
    const modify = (pushConfig: object) => api.call('POST', `${name}:modifyPushConfig`, { pushConfig });
    expect(await modify({ pushEndpoint: to.url() })).toEqual({ status: 200, body: {} });
    expect(await api.call('POST', `${name}:pull`, { maxMessages: 1 })).toMatchObject({
      status: 400,
      body: { error: { status: 'FAILED_PRECONDITION' } },
    });
    await api.call('POST', `${topic}:publish`, { messages: [{ data: base64('pushed') }] });
    await to.received(1);
    expect(await modify({})).toEqual({ status: 200, body: {} });
    await api.call('POST', `${topic}:publish`, { messages: [{ data: base64('pulled') }] });
    const { body } = await api.call('POST', `${name}:pull`, { maxMessages: 10 });
    expect(body.receivedMessages).toMatchObject([{ message: { data: base64('pulled') } }]);
    expect(to.texts).toEqual(['pushed']);
  });

  it('push over REST - modifyPushConfig of what is not there is NOT_FOUND', async () => {
    const answer = await api.call('POST', `${project}/subscriptions/none:modifyPushConfig`, { pushConfig: {} });
    expect(answer).toMatchObject({ status: 404, body: { error: { status: 'NOT_FOUND' } } });
  });
});

describe('push with the client of Google', () => {
  it('client - a push configuration goes over gRPC and comes back; messages are pushed, and a stream is refused', async () => {
    vi.stubEnv('METADATA_SERVER_DETECTION', 'none'); // else the client looks for Google's machines around it
    onTestFinished(() => void vi.unstubAllEnvs());
    const client = new PubSub({ projectId: 'p', apiEndpoint: api.url.replace('http://', ''), emulatorMode: true });
    onTestFinished(() => client.close());
    const to = await started();
    const pushConfig = {
      pushEndpoint: to.url(),
      attributes: { 'x-goog-version': 'v1' },
      oidcToken: { serviceAccountEmail: 'a@b.c', audience: 'audience' },
      noWrapper: { writeMetadata: true },
    };
    const [subscription] = await client.topic('telemetry').createSubscription('worker', { pushConfig });
    const [metadata] = await subscription.getMetadata();
    expect(metadata.pushConfig).toMatchObject(pushConfig);
    await client.topic('telemetry').publishMessage({ data: Buffer.from('raw'), attributes: { place: 'shed' } });
    const [request] = await to.received(1);
    expect(request!.body.toString()).toBe('raw');
    expect(request!.headers).toMatchObject({ place: 'shed', 'x-goog-pubsub-subscription-name': name });
    const refused = new Promise<{ code: number }>((failed) => subscription.once('error', failed as () => void));
    subscription.on('message', () => undefined);
    expect((await refused).code).toBe(9); // FAILED_PRECONDITION
    await subscription.close();
    await subscription.modifyPushConfig({});
    expect((await client.subscription('worker').getMetadata())[0].pushConfig).toMatchObject({ pushEndpoint: '' });
  });
});

describe('push tokens', () => {
  const email = 'push@p.iam.gserviceaccount.com';

  async function pushedToken(oidcToken: object): Promise<{ token: string; to: PushEndpoint }> {
    const to = await started();
    await create({ pushEndpoint: to.url(), oidcToken });
    await api.call('POST', `${topic}:publish`, { messages: [{ data: base64('m') }] });
    const [request] = await to.received(1);
    const [scheme, token] = request!.headers.authorization!.split(' ');
    expect(scheme).toBe('Bearer');
    return { token: token!, to };
  }

  /** As an endpoint does it: keys from where the issuer says. @throws Error the signature does not fit */
  async function verified(token: string) {
    const [head, payload, signature] = token.split('.') as [string, string, string];
    const part = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString());
    const header = part(head);
    const discovery = await fetch(`${part(payload).iss}/.well-known/openid-configuration`);
    const { jwks_uri, issuer } = (await discovery.json()) as { jwks_uri: string; issuer: string };
    const { keys } = (await (await fetch(jwks_uri)).json()) as { keys: (JsonWebKey & { kid: string })[] };
    const jwk = keys.find(({ kid }) => kid === header.kid)!;
    expect(jwk).not.toHaveProperty('d'); // the private part
    expect(jwk).toMatchObject({ kty: 'RSA', alg: 'RS256', use: 'sig' });
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const good = verify('RSA-SHA256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url'));
    const forged = verify('RSA-SHA256', Buffer.from(`${head}.${payload}x`), key, Buffer.from(signature, 'base64url'));
    expect([good, forged]).toEqual([true, false]);
    return { header, issuer, claims: part(payload) };
  }

  it('push tokens - each request carries one that verifies against the published keys', async () => {
    const { token } = await pushedToken({ serviceAccountEmail: email, audience: 'https://audience.example' });
    const { header, claims, issuer } = await verified(token);
    const nowS = Date.now() / 1000;
    expect(header).toEqual({ alg: 'RS256', kid: expect.any(String), typ: 'JWT' });
    expect(claims).toMatchObject({ iss: issuer, aud: 'https://audience.example', email, email_verified: true });
    expect(claims.exp - claims.iat).toBe(3600);
    expect(claims.iat).toBeLessThanOrEqual(nowS);
    expect(claims.exp).toBeGreaterThan(nowS);
    expect(claims.sub).toMatch(/^\d+$/);
  });

  it('push tokens - without an audience the endpoint is the audience', async () => {
    const { token, to } = await pushedToken({ serviceAccountEmail: email });
    expect((await verified(token)).claims.aud).toBe(to.url());
  });

  it('push tokens - without oidcToken there is none', async () => {
    const to = await started();
    await create({ pushEndpoint: to.url() });
    await api.call('POST', `${topic}:publish`, { messages: [{ data: base64('m') }] });
    expect((await to.received(1))[0]!.headers).not.toHaveProperty('authorization');
  });

  it('push tokens - the keys are kept: nobody makes others', async () => {
    const before = await api.pubsub.push.publishedKeys();
    const { token } = await pushedToken({ serviceAccountEmail: email, audience: 'again' });
    await verified(token);
    expect(await api.pubsub.push.publishedKeys()).toEqual(before);
    expect(before.keys).toHaveLength(1);
  });

  it('push tokens - the keys may be kept by whoever fetched them', async () => {
    const reply = await fetch(`${api.url}/oauth2/v3/certs`);
    expect(reply.headers.get('cache-control')).toBe('public, max-age=3600');
  });
});

describe('push under load', () => {
  it('5,000 messages to an endpoint that fails one in five: all come, failures after their backoff, in order per key (I3, I5)', async () => {
    const backoffMs = 200;
    const failedMs = new Map<string, number>();
    const early: string[] = [];
    const authorizations = new Set<string>();
    let count = 0;
    const to = await started(({ json, headers }) => {
      const { messageId } = json.message;
      authorizations.add(headers.authorization!);
      const failed = failedMs.get(messageId);
      if (failed !== undefined && Date.now() - failed < backoffMs) early.push(messageId);
      failedMs.delete(messageId);
      if (++count % 5 !== 0) return 204;
      failedMs.set(messageId, Date.now());
      return 503;
    });
    const retryPolicy = { minimumBackoff: '0.2s', maximumBackoff: '0.2s' };
    const oidcToken = { serviceAccountEmail: 'push@p.iam.gserviceaccount.com' };
    await create({ pushEndpoint: to.url(), oidcToken }, { enableMessageOrdering: true, retryPolicy });
    const keys = 100;
    for (let key = 0; key < keys; key++) {
      const messages = Array.from({ length: 50 }, (_, i) => ({ data: base64(`${key} ${i}`), orderingKey: `k${key}` }));
      expect((await api.call('POST', `${topic}:publish`, { messages })).status).toBe(200);
    }
    await expect.poll(async () => (await api.pubsub.subscriptions.stats(name)).backlog, { timeout: 90_000 }).toBe(0);
    const firsts = new Map<string, string[]>();
    for (const text of new Set(to.texts)) {
      const [key, index] = text.split(' ') as [string, string];
      firsts.set(key, [...(firsts.get(key) ?? []), index]);
    }
    expect(firsts.size).toBe(keys);
    for (const indexes of firsts.values()) expect(indexes).toEqual(Array.from({ length: 50 }, (_, i) => String(i)));
    expect(early).toEqual([]);
    expect(failedMs.size).toBe(0);
    expect(to.requests.length).toBe(5000 + Math.floor(to.requests.length / 5)); // nothing came twice that was acked
    expect(authorizations.size).toBe(1);
  }, 120_000);
});
