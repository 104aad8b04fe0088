import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiUnderTest, base64, openApi } from './api-under-test.ts';

let api: ApiUnderTest;
beforeAll(async () => {
  api = await openApi();
});
afterAll(() => api.close());

const call: ApiUnderTest['call'] = (...given) => api.call(...given);

/** A project of its own for each test. */
let projects = 0;
const newProject = () => `projects/admin-${++projects}`;

describe('topics over REST', () => {
  it('topic - it is created once, shown, listed and deleted', async () => {
    const name = `${newProject()}/topics/orders`;
    const topic = { name, state: 'ACTIVE' };
    expect(await call('PUT', name)).toEqual({ status: 200, body: topic });
    expect(await call('PUT', name, {})).toMatchObject({
      status: 409,
      body: { error: { code: 409, status: 'ALREADY_EXISTS', message: expect.stringContaining(name) } },
    });
    expect(await call('GET', name)).toEqual({ status: 200, body: topic });
    expect(await call('GET', name.replace('/orders', ''))).toEqual({ status: 200, body: { topics: [topic] } });
    expect(await call('DELETE', name)).toEqual({ status: 200, body: {} });
    expect(await call('GET', name)).toMatchObject({ status: 404, body: { error: { status: 'NOT_FOUND' } } });
  });

  it('topic - every field round-trips, in either spelling of its name', async () => {
    const project = newProject();
    const fields = { labels: { env: 'prod' }, messageRetentionDuration: '1200.500s' };
    const wanted = (name: string) => ({ status: 200, body: { name, ...fields, state: 'ACTIVE' } });
    const [camel, snake] = [`${project}/topics/camel`, `${project}/topics/snake`];
    expect(await call('PUT', camel, { name: camel, ...fields })).toEqual(wanted(camel));
    expect(await call('PUT', snake, { labels: { env: 'prod' }, message_retention_duration: '1200.5s' })).toEqual(
      wanted(snake),
    );
    expect(await call('GET', camel)).toEqual(wanted(camel));
    expect(await call('GET', snake)).toEqual(wanted(snake));
  });

  it('topic - an update changes what the mask names and nothing else', async () => {
    const name = `${newProject()}/topics/patched`;
    await call('PUT', name, { labels: { a: '1' }, messageRetentionDuration: '600s' });
    const topic = { name, labels: { b: '2' }, messageRetentionDuration: '1200s' };
    expect((await call('PATCH', name, { topic, updateMask: 'labels' })).body).toMatchObject({
      labels: { b: '2' },
      messageRetentionDuration: '600s',
    });
    expect((await call('PATCH', name, { topic: {}, update_mask: 'message_retention_duration' })).body).toEqual({
      name,
      labels: { b: '2' },
      state: 'ACTIVE',
    });
    expect(
      (
        await call('PATCH', `${name}?updateMask=labels,messageRetentionDuration`, {
          topic: { messageRetentionDuration: '700s' },
        })
      ).body,
    ).toEqual({
      name,
      messageRetentionDuration: '700s',
      state: 'ACTIVE',
    });
    expect((await call('PATCH', name, { topic: { kmsKeyName: '' }, updateMask: 'kmsKeyName' })).body).toMatchObject({
      messageRetentionDuration: '700s',
    });
  });

  it('topic - an id may hold every character that Pub/Sub allows, and a percent sign is decoded once', async () => {
    const project = newProject();
    const ids = ['a+b~c.d_e-f', 'x%2By', 'x+y', 'rate100%25', 'z%z'];
    for (const id of ids) {
      const path = `${project}/topics/${encodeURIComponent(id)}`;
      expect((await call('PUT', path)).body.name).toBe(`${project}/topics/${id}`);
      expect((await call('POST', `${path}:publish`, { messages: [{ data: base64('x') }] })).status).toBe(200);
    }
    const { body } = await call('GET', `${project}/topics`);
    expect(body.topics.map((topic: { name: string }) => topic.name)).toEqual(
      ids.map((id) => `${project}/topics/${id}`).sort(),
    );
  });

  it('topic - once deleted, its subscriptions name _deleted-topic_ and keep their backlog', async () => {
    const project = newProject();
    const [topic, subscription] = [`${project}/topics/gone`, `${project}/subscriptions/left`];
    await call('PUT', topic);
    await call('PUT', subscription, { topic });
    await call('POST', `${topic}:publish`, { messages: [{ data: base64('still here') }] });
    await call('DELETE', topic);
    expect((await call('GET', subscription)).body.topic).toBe('_deleted-topic_');
    const { body } = await call('POST', `${subscription}:pull`, { maxMessages: 1 });
    expect(body.receivedMessages[0].message.data).toBe(base64('still here'));
  });
});

describe('lists over REST', () => {
  it('paging - the pages hold every topic of the project once, in order', async () => {
    const project = newProject();
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id) => `${project}/topics/topic-${id}`);
    for (const name of names) await call('PUT', name);
    const seen: string[][] = [];
    let pageToken = '';
    do {
      const { body } = await call('GET', `${project}/topics?pageSize=3&pageToken=${pageToken}`);
      seen.push(body.topics.map((topic: { name: string }) => topic.name));
      pageToken = body.nextPageToken ?? '';
    } while (pageToken !== '');
    expect(seen).toEqual([names.slice(0, 3), names.slice(3, 6), names.slice(6)]);
  });

  it('paging - the subscriptions and snapshots of a topic are listed by name, in pages', async () => {
    const project = newProject();
    const topic = `${project}/topics/listed`;
    await call('PUT', topic);
    const subscriptions = ['one', 'two', 'ztwo'].map((id) => `${project}/subscriptions/${id}`);
    for (const name of subscriptions) await call('PUT', name, { topic });
    await call('PUT', `${project}/snapshots/snap`, { subscription: subscriptions[0] });
    const first = (await call('GET', `${topic}/subscriptions?pageSize=2`)).body;
    expect(first.subscriptions).toEqual(subscriptions.slice(0, 2));
    const next = `${topic}/subscriptions?pageSize=2&pageToken=${first.nextPageToken}`;
    expect((await call('GET', next)).body).toEqual({ subscriptions: subscriptions.slice(2) });
    expect((await call('GET', `${topic}/snapshots`)).body).toEqual({ snapshots: [`${project}/snapshots/snap`] });
  });

  it('paging - an empty list is an empty object', async () => {
    const project = newProject();
    for (const collection of ['topics', 'subscriptions', 'snapshots']) {
      expect(await call('GET', `${project}/${collection}`)).toEqual({ status: 200, body: {} });
    }
  });
});

describe('subscriptions over REST', () => {
  const every = {
    labels: { team: 'fleet' },
    ackDeadlineSeconds: 60,
    retainAckedMessages: true,
    messageRetentionDuration: '1200s',
    enableMessageOrdering: true,
    expirationPolicy: { ttl: '86400s' },
    filter: 'attributes:deviceId',
    retryPolicy: { minimumBackoff: '1.500s', maximumBackoff: '20s' },
    enableExactlyOnceDelivery: true,
  };

  async function newTopic(body: object = {}) {
    const project = newProject();
    const topic = `${project}/topics/source`;
    await call('PUT', topic, body);
    return { project, topic };
  }

  it('subscription - every field round-trips', async () => {
    const { project, topic } = await newTopic({ messageRetentionDuration: '86400s' });
    const name = `${project}/subscriptions/every`;
    const deadLetterPolicy = { deadLetterTopic: topic, maxDeliveryAttempts: 7 };
    const wanted = {
      name,
      topic,
      ...every,
      deadLetterPolicy,
      pushConfig: {},
      topicMessageRetentionDuration: '86400s',
      state: 'ACTIVE',
    };
    expect(await call('PUT', name, { topic, ...every, deadLetterPolicy })).toEqual({ status: 200, body: wanted });
    expect((await call('GET', name)).body).toEqual(wanted);
    expect((await call('GET', `${project}/subscriptions`)).body).toEqual({ subscriptions: [wanted] });
  });

  it('subscription - what the server printed may be sent back with an update', async () => {
    const { project, topic } = await newTopic({ messageRetentionDuration: '86400s' });
    const name = `${project}/subscriptions/again`;
    const created = (await call('PUT', name, { topic, ...every })).body;
    const updateMask = 'labels,ackDeadlineSeconds,retryPolicy,expirationPolicy,pushConfig';
    const subscription = { ...created, labels: {}, ackDeadlineSeconds: 20, expirationPolicy: {} };
    const { labels: _, ...rest } = created;
    const wanted = { ...rest, ackDeadlineSeconds: 20, expirationPolicy: {} };
    expect(await call('PATCH', name, { subscription, updateMask })).toEqual({ status: 200, body: wanted });
    expect((await call('GET', name)).body).toEqual(wanted);
  });

  it('subscription - a policy that the mask names and the body leaves out is removed', async () => {
    const { project, topic } = await newTopic();
    const name = `${project}/subscriptions/plain`;
    await call('PUT', name, { topic, ...every });
    await call('PATCH', name, { subscription: {}, updateMask: 'retry_policy' });
    expect((await call('GET', name)).body).not.toHaveProperty('retryPolicy');
  });

  it('subscription - detached, it is listed no more and pulls fail', async () => {
    const { project, topic } = await newTopic();
    const name = `${project}/subscriptions/loose`;
    await call('PUT', name, { topic });
    expect(await call('POST', `${name}:detach`)).toEqual({ status: 200, body: {} });
    expect((await call('GET', name)).body.detached).toBe(true);
    expect((await call('GET', `${topic}/subscriptions`)).body).toEqual({});
    expect(await call('POST', `${name}:pull`, { maxMessages: 1 })).toMatchObject({
      status: 400,
      body: { error: { status: 'FAILED_PRECONDITION' } },
    });
  });

  it('subscription - an empty push configuration is what it has; a bad one is refused', async () => {
    const { project, topic } = await newTopic();
    const name = `${project}/subscriptions/pulled`;
    await call('PUT', name, { topic, pushConfig: {} });
    expect(await call('POST', `${name}:modifyPushConfig`, { pushConfig: {} })).toEqual({ status: 200, body: {} });
    expect(await call('POST', `${name}:modifyPushConfig`, { pushConfig: { pushEndpoint: 'http://x/' } })).toMatchObject(
      { status: 400, body: { error: { code: 400, status: 'INVALID_ARGUMENT' } } },
    );
    expect((await call('POST', `${project}/subscriptions/none:modifyPushConfig`, {})).status).toBe(404);
  });

  it('snapshot - it is created, shown, listed, changed, sought to and deleted', async () => {
    const { project, topic } = await newTopic();
    const [subscription, name] = [`${project}/subscriptions/source`, `${project}/snapshots/moment`];
    await call('PUT', subscription, { topic });
    await call('POST', `${topic}:publish`, { messages: [{ data: base64('m') }] });
    const { body: created } = await call('PUT', name, { subscription, labels: { a: 'b' } });
    expect(created).toEqual({ name, topic, labels: { a: 'b' }, expireTime: expect.stringMatching(/Z$/) });
    expect((await call('GET', name)).body).toEqual(created);
    expect((await call('GET', `${project}/snapshots`)).body).toEqual({ snapshots: [created] });
    expect((await call('PATCH', name, { snapshot: { labels: { c: 'd' } }, updateMask: 'labels' })).body).toEqual({
      ...created,
      labels: { c: 'd' },
    });

    const pull = () => call('POST', `${subscription}:pull`, { maxMessages: 5, returnImmediately: true });
    const [received] = (await pull()).body.receivedMessages;
    await call('POST', `${subscription}:acknowledge`, { ackIds: [received.ackId] });
    expect((await pull()).body).toEqual({});
    expect(await call('POST', `${subscription}:seek`, { snapshot: name })).toEqual({ status: 200, body: {} });
    expect((await pull()).body.receivedMessages[0].message.messageId).toBe(received.message.messageId);

    expect(await call('DELETE', name)).toEqual({ status: 200, body: {} });
    expect((await call('GET', name)).status).toBe(404);
  });
});
