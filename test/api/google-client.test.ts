import { once } from 'node:events';
import { type Message, PubSub, type Subscription, type Topic } from '@google-cloud/pubsub';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openApi } from './api-under-test.ts';

// Google's own client, unmodified, told where the server is as for Google's emulator.

/** A client of a server of its own. */
async function opened() {
  const api = await openApi();
  vi.stubEnv('METADATA_SERVER_DETECTION', 'none'); // else the client looks for Google's machines around it
  const pubsub = new PubSub({ projectId: 'p', apiEndpoint: api.url.replace('http://', ''), emulatorMode: true });
  onTestFinished(async () => {
    await pubsub.close();
    await api.close();
  });
  return { api, pubsub };
}

async function withFeed(options: object = {}) {
  const { api, pubsub } = await opened();
  const [topic] = await pubsub.createTopic('feed');
  const [subscription] = await topic.createSubscription('feed', options);
  return { api, pubsub, topic, subscription };
}

/** Messages as they come; what `react` does with each is up to the test. */
function received(
  subscription: Subscription,
  react: (message: Message) => void = (message) => message.ack(),
): Message[] {
  const messages: Message[] = [];
  subscription.on('message', (message: Message) => {
    messages.push(message);
    react(message);
  });
  subscription.on('error', () => {}); // tests that want it listen as well
  onTestFinished(() => subscription.close());
  return messages;
}

const textOf = (message: Message) => message.data.toString();
const textsOf = (messages: readonly Message[]) => messages.map(textOf);
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `m${i}`);

async function publishAll(topic: Topic, texts: readonly string[], orderingKey?: string): Promise<string[]> {
  const fields = orderingKey === undefined ? {} : { orderingKey };
  return Promise.all(texts.map((text) => topic.publishMessage({ data: Buffer.from(text), ...fields })));
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('administration with the client of Google', () => {
  it('client - it finds the server by PUBSUB_EMULATOR_HOST', async () => {
    const api = await openApi();
    vi.stubEnv('METADATA_SERVER_DETECTION', 'none');
    vi.stubEnv('PUBSUB_EMULATOR_HOST', api.url.replace('http://', ''));
    const pubsub = new PubSub({ projectId: 'p' });
    onTestFinished(async () => {
      await pubsub.close();
      await api.close();
    });
    const [topic] = await pubsub.createTopic('feed');
    expect(topic.name).toBe('projects/p/topics/feed');
    expect(await topic.exists()).toEqual([true]);
  });

  it('client - topics are created, listed, changed and deleted', async () => {
    const { pubsub } = await opened();
    await pubsub.createTopic({ name: 'one', labels: { team: 'a' } });
    await pubsub.createTopic('two');
    const [topics] = await pubsub.getTopics();
    expect(topics.map(({ name }) => name)).toEqual(['projects/p/topics/one', 'projects/p/topics/two']);
    const [metadata] = await pubsub.topic('one').getMetadata();
    expect(metadata).toMatchObject({ name: 'projects/p/topics/one', labels: { team: 'a' } });
    const [changed] = await pubsub.topic('one').setMetadata({ labels: { team: 'b' } });
    expect(changed).toMatchObject({ labels: { team: 'b' } });
    await pubsub.topic('one').delete();
    expect(await pubsub.topic('one').exists()).toEqual([false]);
  });

  it('client - an error has the code and the sentence of the server', async () => {
    const { pubsub } = await opened();
    await pubsub.createTopic('feed');
    await expect(pubsub.createTopic('feed')).rejects.toMatchObject({
      code: 6,
      details: expect.stringContaining('feed'),
    });
    await expect(pubsub.topic('none').getMetadata()).rejects.toMatchObject({
      code: 5,
      details: 'There is no topic projects/p/topics/none; create it first.',
    });
    await expect(pubsub.topic('feed').setMetadata({})).rejects.toMatchObject({ code: 3 });
  });

  it('client - subscriptions keep every setting, and change those that may change', async () => {
    const { subscription, topic } = await withFeed({
      ackDeadlineSeconds: 30,
      retainAckedMessages: true,
      messageRetentionDuration: { seconds: 3600 },
      filter: 'attributes:a',
      enableExactlyOnceDelivery: true,
      retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 2 } },
    });
    const [metadata] = await subscription.getMetadata();
    expect(metadata).toMatchObject({
      topic: topic.name,
      ackDeadlineSeconds: 30,
      retainAckedMessages: true,
      messageRetentionDuration: { seconds: '3600' },
      filter: 'attributes:a',
      enableExactlyOnceDelivery: true,
      retryPolicy: { minimumBackoff: { seconds: '1' }, maximumBackoff: { seconds: '2' } },
      expirationPolicy: { ttl: { seconds: '2678400' } },
      state: 'ACTIVE',
    });
    const [changed] = await subscription.setMetadata({ ackDeadlineSeconds: 60 });
    expect(changed).toMatchObject({ ackDeadlineSeconds: 60, filter: 'attributes:a' });
    const [ofTopic] = await topic.getSubscriptions();
    expect(ofTopic.map(({ name }) => name)).toEqual([subscription.name]);
    await subscription.delete();
    expect(await subscription.exists()).toEqual([false]);
  });

  it('client - lists go over several pages', async () => {
    const { pubsub } = await opened();
    const ids = numbered(105).map((id) => `topic-${id}`);
    for (const id of ids) await pubsub.createTopic(id);
    const [all] = await pubsub.getTopics();
    expect(all.length).toBe(105); // the server's page has 100
    expect(new Set(all.map(({ name }) => name)).size).toBe(105);
    const [page, next] = await pubsub.getTopics({ pageSize: 10, autoPaginate: false });
    expect(page.length).toBe(10);
    expect(next).toMatchObject({ pageToken: expect.stringMatching(/./) });
  });

  it('client - what needs a cloud is refused with UNIMPLEMENTED, an empty push configuration is a pull subscription', async () => {
    const { topic, subscription } = await withFeed();
    await subscription.modifyPushConfig({});
    const exporting = topic.createSubscription('export', { bigqueryConfig: { table: 'p.d.t' } });
    await expect(exporting).rejects.toMatchObject({ code: 12, details: expect.stringContaining('BigQuery') });
  });
});

describe('publishing with the client of Google', () => {
  it('client - a publish gives the ids, in order, and the messages arrive with all they had', async () => {
    const { topic, subscription } = await withFeed();
    const id = await topic.publishMessage({ data: Buffer.from('hi'), attributes: { a: 'b', __proto__x: 'c' } });
    const messages = received(subscription);
    await vi.waitFor(() => expect(messages.length).toBe(1));
    const [message] = messages as [Message];
    expect(message.id).toBe(id);
    expect(textOf(message)).toBe('hi');
    expect(message.attributes).toEqual({ a: 'b', __proto__x: 'c' });
    expect(Math.abs(message.publishTime.getTime() - Date.now())).toBeLessThan(60_000);
  });

  it('client - batches keep the order of their messages', async () => {
    const { topic, subscription } = await withFeed();
    topic.setPublishOptions({ batching: { maxMessages: 50, maxMilliseconds: 5 } });
    const texts = numbered(200);
    const ids = await publishAll(topic, texts);
    expect(new Set(ids).size).toBe(200);
    const messages = received(subscription);
    await vi.waitFor(() => expect(messages.length).toBe(200));
    expect(textsOf(messages)).toEqual(texts);
  });

  it('client - ordered publishing arrives in order (I5), and goes on after a failure was resumed', async () => {
    const { topic, subscription } = await withFeed({ enableMessageOrdering: true });
    topic.setPublishOptions({ messageOrdering: true });
    const messages = received(subscription);
    await publishAll(topic, numbered(20), 'a');
    const behindFailure = await Promise.allSettled([
      topic.publishMessage({ data: Buffer.alloc(11_000_000), orderingKey: 'a' }),
      topic.publishMessage({ data: Buffer.from('never'), orderingKey: 'a' }),
    ]);
    expect(behindFailure).toMatchObject([{ reason: { code: 3 } }, { status: 'rejected' }]);
    topic.resumePublishing('a');
    await publishAll(topic, ['last'], 'a');
    await vi.waitFor(() => expect(messages.length).toBe(21));
    expect(textsOf(messages)).toEqual([...numbered(20), 'last']);
    expect(messages[0]!.orderingKey).toBe('a');
  });

  it('client - a message of nearly 10 MB passes both ways', async () => {
    const { topic, subscription } = await withFeed();
    const data = Buffer.alloc(9_900_000, 'x');
    await topic.publishMessage({ data });
    const messages = received(subscription);
    await vi.waitFor(() => expect(messages.length).toBe(1), 10_000);
    expect(messages[0]!.data.equals(data)).toBe(true);
  });
});

describe('receiving with the client of Google', () => {
  it('client - what is nacked comes again, what is acked does not (I2)', async () => {
    const { topic, subscription, api } = await withFeed({ retryPolicy: { minimumBackoff: { seconds: 0 } } });
    let nacks = 0;
    const messages = received(subscription, (message) => {
      if (textOf(message) === 'm1' && nacks++ === 0) message.nack();
      else message.ack();
    });
    await publishAll(topic, numbered(3));
    await vi.waitFor(async () => {
      expect(textsOf(messages).sort()).toEqual(['m0', 'm1', 'm1', 'm2']);
      expect(await api.pubsub.subscriptions.stats(subscription.name)).toMatchObject({ backlog: 0 });
    });
  });

  it('client - its flow control is kept: never more than maxMessages are out', async () => {
    const { topic, subscription } = await withFeed();
    subscription.setOptions({ flowControl: { maxMessages: 5 }, streamingOptions: { maxStreams: 1 } });
    await publishAll(topic, numbered(60));
    let out = 0;
    let most = 0;
    const messages = received(subscription, (message) => {
      most = Math.max(most, ++out);
      setImmediate(() => {
        out--;
        message.ack();
      });
    });
    await vi.waitFor(() => expect(messages.length).toBe(60), 10_000);
    expect(most).toBeLessThanOrEqual(5);
  });

  it('client - exactly-once: an ack is confirmed, a late one is refused as invalid', async () => {
    const { topic, subscription, api } = await withFeed({ enableExactlyOnceDelivery: true });
    const answers: string[] = [];
    const messages = received(subscription, async (message) => {
      answers.push(await message.ackWithResponse());
      answers.push(await message.ackWithResponse().catch(({ errorCode }) => String(errorCode)));
    });
    await publishAll(topic, ['once']);
    await vi.waitFor(() => expect(answers.length).toBe(2), 10_000);
    expect(answers[0]).toBe('SUCCESS');
    expect(messages.length).toBe(1);
    expect(await api.pubsub.subscriptions.stats(subscription.name)).toMatchObject({ backlog: 0 });
  });

  it('client - a seek to a time and to a snapshot brings messages back', async () => {
    const { topic, subscription } = await withFeed({ retainAckedMessages: true });
    const before = new Date(Date.now() - 60_000);
    const messages = received(subscription);
    await subscription.createSnapshot('start');
    await publishAll(topic, numbered(3));
    await vi.waitFor(() => expect(messages.length).toBe(3));
    await subscription.seek('start');
    await vi.waitFor(() => expect(messages.length).toBe(6));
    await subscription.seek(before);
    await vi.waitFor(() => expect(messages.length).toBe(9));
    expect(new Set(textsOf(messages.slice(6)))).toEqual(new Set(numbered(3)));
  });

  it('client - a snapshot is listed and deleted', async () => {
    const { pubsub, subscription } = await withFeed();
    await subscription.createSnapshot('start');
    const [snapshots] = await pubsub.getSnapshots();
    expect(snapshots.map(({ name }) => name)).toEqual(['projects/p/snapshots/start']);
    await pubsub.snapshot('start').delete();
    expect(await pubsub.getSnapshots().then(([left]) => left)).toEqual([]);
  });

  it('client - a detached subscription says so to its listener', async () => {
    const { pubsub, subscription } = await withFeed();
    received(subscription);
    const failed = once(subscription, 'error');
    await pubsub.detachSubscription('feed');
    expect(await subscription.detached()).toEqual([true]);
    const [error] = await failed;
    expect(error).toMatchObject({ code: 9, details: expect.stringContaining('detached') });
  });

  it('client - a deleted subscription says so to its listener', async () => {
    const { pubsub, subscription } = await withFeed();
    received(subscription);
    const failed = once(subscription, 'error');
    await pubsub.subscription('feed').delete();
    const [error] = await failed;
    expect(error).toMatchObject({ code: 5, details: expect.stringContaining('no subscription') });
  });

  it('client - an unknown subscription is NOT_FOUND for its listener', async () => {
    const { pubsub } = await opened();
    const subscription = pubsub.subscription('none');
    const failed = once(subscription, 'error');
    received(subscription);
    const [error] = await failed;
    expect(error).toMatchObject({ code: 5 });
  });

  it('client - what comes while the listener waits arrives by itself', async () => {
    const { topic, subscription } = await withFeed();
    const messages = received(subscription);
    for (const text of numbered(5)) {
      await publishAll(topic, [text]);
      await vi.waitFor(() => expect(textsOf(messages)).toContain(text));
    }
  });
});
