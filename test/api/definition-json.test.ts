import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { snapshotFromJson, snapshotToJson } from '../../src/api/json/snapshot-json.ts';
import { subscriptionFields, subscriptionFromJson, subscriptionToJson } from '../../src/api/json/subscription-json.ts';
import { topicFromJson, topicToJson } from '../../src/api/json/topic-json.ts';
import { withoutUnserved } from '../../src/api/json/unserved-field.ts';
import { holds } from '../support/property.ts';
import { expectRefusal } from '../support/refusal.ts';

const name = 'projects/p/subscriptions/s-one';
const topic = 'projects/p/topics/t-one';
const overTheWire = (json: object): unknown => JSON.parse(JSON.stringify(json));

describe('the JSON of a subscription', () => {
  it("subscription - what is left out gets Pub/Sub's defaults", () => {
    expect(subscriptionFromJson({ name, topic }, '')).toEqual({
      name,
      topic,
      labels: {},
      ackDeadlineMs: 10_000,
      retainAckedMessages: false,
      messageRetentionMs: 604_800_000,
      expirationTtlMs: 2_678_400_000,
      filter: '',
      enableMessageOrdering: false,
      enableExactlyOnceDelivery: false,
      detached: false,
    });
  });

  it('subscription - 0 is the default where proto3 cannot tell it from unset', () => {
    const read = subscriptionFromJson(
      { ackDeadlineSeconds: 0, deadLetterPolicy: { deadLetterTopic: topic, maxDeliveryAttempts: 0 } },
      '',
    );
    expect(read.ackDeadlineMs).toBe(10_000);
    expect(read.deadLetter).toEqual({ topic, deliveryAttemptsMax: 5 });
  });

  it('subscription - an expiration policy without a ttl means never, and an empty retry policy its defaults', () => {
    const read = subscriptionFromJson({ expirationPolicy: {}, retryPolicy: {} }, '');
    expect(read).not.toHaveProperty('expirationTtlMs');
    expect(read.retry).toEqual({ minimumBackoffMs: 10_000, maximumBackoffMs: 600_000 });
  });

  it('subscription - it prints as Google prints it', () => {
    expect(subscriptionToJson(subscriptionFromJson({ name, topic }, ''), undefined)).toEqual({
      name,
      topic,
      pushConfig: {},
      ackDeadlineSeconds: 10,
      messageRetentionDuration: '604800s',
      expirationPolicy: { ttl: '2678400s' },
      state: 'ACTIVE',
    });
    const never = subscriptionFromJson({ name, topic, expirationPolicy: {} }, '');
    expect(subscriptionToJson(never, 86_400_000)).toMatchObject({
      expirationPolicy: {},
      topicMessageRetentionDuration: '86400s',
    });
  });

  it('subscription - every field survives the way out and back in', () =>
    holds(
      fc.property(anySubscription, (subscription) => {
        const json = overTheWire(subscriptionToJson(subscription, 600_000));
        expect(subscriptionFromJson(json, 'subscription')).toEqual(subscription);
      }),
    ));

  it.each([
    { pushConfig: {} },
    { pushConfig: { pushEndpoint: '', attributes: {} } },
    { push_config: null },
    { bigqueryConfig: {}, cloudStorageConfig: null, messageTransforms: [] },
  ])('subscription - a setting that is not served may be empty: %j', (json) => {
    expect(subscriptionFromJson({ name, topic, ...json }, '')).toEqual(subscriptionFromJson({ name, topic }, ''));
  });

  it.each([
    ['bigqueryConfig', { table: 'p.d.t' }],
    ['bigtableConfig', { table: 'projects/p/instances/i/tables/t' }],
    ['cloudStorageConfig', { bucket: 'b' }],
    ['pubsubExportConfig', { topic }],
    ['pubsubliteExportConfig', { topic }],
    ['messageTransforms', [{}]],
    ['tags', { '123/env': 'prod' }],
  ])('subscription - %s = %j is not served, and says so', async (field, value) => {
    await expectRefusal(
      () => subscriptionFromJson({ [field]: value }, 'subscription'),
      'UNIMPLEMENTED',
      `subscription.${field} is not served`,
    );
  });

  it('subscription - what only the server sets is ignored', () => {
    const json = {
      name,
      topic,
      state: 'RESOURCE_ERROR',
      topicMessageRetentionDuration: '5s',
      analyticsHubSubscriptionInfo: { listing: 'l' },
    };
    expect(subscriptionFromJson(json, '')).toEqual(subscriptionFromJson({ name, topic }, ''));
  });

  it('subscription - a setting that is nested without end is refused without exhausting the stack', async () => {
    let nested: object = {};
    for (let depth = 0; depth < 100_000; depth++) nested = { nested };
    await expectRefusal(() => subscriptionFromJson({ bigqueryConfig: nested }, ''), 'UNIMPLEMENTED', 'bigquery');
  });

  it('subscription - an update mask loses the fields that may only be empty', () => {
    const paths = ['bigquery_config', 'labels', 'cloud_storage_config', 'bigquery_config.table', 'nonsense'];
    expect(withoutUnserved(paths, subscriptionFields)).toEqual(['labels', 'nonsense']);
  });
});

describe('the JSON of a topic', () => {
  const topicJson = { name: topic, labels: { env: 'prod' }, messageRetentionDuration: '86400s' };

  it('topic - every field survives the way in and back out', () => {
    expect(topicFromJson(topicJson, '')).toEqual({
      name: topic,
      labels: { env: 'prod' },
      messageRetentionMs: 86_400_000,
    });
    expect(topicToJson(topicFromJson(topicJson, ''))).toEqual({ ...topicJson, state: 'ACTIVE' });
    expect(topicToJson(topicFromJson({ name: topic }, ''))).toEqual({ name: topic, state: 'ACTIVE' });
  });

  it.each([
    ['messageStoragePolicy', { allowedPersistenceRegions: ['europe-west1'] }],
    ['kmsKeyName', 'projects/p/locations/l/keyRings/r/cryptoKeys/k'],
    ['schemaSettings', { schema: 'projects/p/schemas/s', encoding: 'JSON' }],
    ['ingestionDataSourceSettings', { awsKinesis: { streamArn: 'arn' } }],
    ['messageTransforms', [{ javascriptUdf: { code: 'x', functionName: 'f' } }]],
    ['tags', { a: 'b' }],
  ])('topic - %s = %j is not served, and says so', async (field, value) => {
    await expectRefusal(
      () => topicFromJson({ [field]: value }, 'topic'),
      'UNIMPLEMENTED',
      `topic.${field} is not served`,
    );
  });

  it('topic - empty settings and what only the server sets are fine', () => {
    const json = {
      messageStoragePolicy: { allowedPersistenceRegions: [] },
      kmsKeyName: '',
      satisfiesPzs: true,
      state: 'X',
    };
    expect(topicFromJson({ name: topic, ...json }, '')).toEqual({ name: topic, labels: {} });
  });
});

it('the JSON of a snapshot - every field survives the way out and back in', () => {
  const snapshot = {
    name: 'projects/p/snapshots/n',
    topic,
    labels: { a: 'b' },
    expireMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  };
  expect(snapshotToJson(snapshot)).toEqual({
    name: snapshot.name,
    topic,
    labels: { a: 'b' },
    expireTime: '2026-01-02T03:04:05.006Z',
  });
  expect(snapshotFromJson(overTheWire(snapshotToJson(snapshot)), 'snapshot')).toEqual(snapshot);
});

const seconds = (min: number, max: number) => fc.integer({ min, max }).map((each) => each * 1000);
const ms = (min: number, max: number) => fc.integer({ min, max });

const anySubscription = fc.record(
  {
    name: fc.constant(name),
    topic: fc.constantFrom(topic, '_deleted-topic_'),
    labels: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string(), { noNullPrototype: true }),
    ackDeadlineMs: seconds(10, 600),
    retainAckedMessages: fc.boolean(),
    messageRetentionMs: ms(600_000, 2_678_400_000),
    expirationTtlMs: ms(86_400_000, 31_536_000_000),
    filter: fc.string(),
    deadLetter: fc.record({ topic: fc.constant(topic), deliveryAttemptsMax: fc.integer({ min: 5, max: 100 }) }),
    retry: fc.record({ minimumBackoffMs: ms(0, 600_000), maximumBackoffMs: ms(0, 600_000) }),
    enableMessageOrdering: fc.boolean(),
    enableExactlyOnceDelivery: fc.boolean(),
    detached: fc.boolean(),
  },
  {
    requiredKeys: [
      'name',
      'topic',
      'labels',
      'ackDeadlineMs',
      'retainAckedMessages',
      'messageRetentionMs',
      'filter',
      'enableMessageOrdering',
      'enableExactlyOnceDelivery',
      'detached',
    ],
  },
);
