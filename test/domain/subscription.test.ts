import { describe, expect, it } from 'vitest';
import { checkSubscription, type Subscription, updatedSubscription } from '../../src/domain/subscription.ts';
import { subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import { expectRefusal } from '../support/refusal.ts';

const names = { name: 'projects/p/subscriptions/worker', topic: 'projects/p/topics/telemetry' };
const subscription = subscriptionWithDefaults(names);
const deadLetterTopic = 'projects/p/topics/dead';

describe('subscriptions', () => {
  it('subscription - has the defaults of google.pubsub.v1', () => {
    expect(subscription).toEqual({
      ...names,
      labels: {},
      ackDeadlineMs: 10_000,
      retainAckedMessages: false,
      messageRetentionMs: 7 * 86_400_000,
      expirationTtlMs: 31 * 86_400_000,
      filter: '',
      enableMessageOrdering: false,
      enableExactlyOnceDelivery: false,
      detached: false,
    });
    expect(() => checkSubscription(subscription)).not.toThrow();
  });

  it('subscription - an expiration policy without a ttl never expires', () => {
    expect(subscriptionWithDefaults({ ...names, expirationTtlMs: 'never' })).not.toHaveProperty('expirationTtlMs');
  });

  it('subscription - policies fill in what they leave out', () => {
    const filled = subscriptionWithDefaults({ ...names, deadLetter: { topic: deadLetterTopic }, retry: {} });
    expect(filled.deadLetter).toEqual({ topic: deadLetterTopic, deliveryAttemptsMax: 5 });
    expect(filled.retry).toEqual({ minimumBackoffMs: 10_000, maximumBackoffMs: 600_000 });
  });

  it.each<[Partial<Subscription>, string]>([
    [{ name: 'worker' }, 'projects/{project}/subscriptions/{subscription}'],
    [{ topic: 'telemetry' }, 'projects/{project}/topics/{topic}'],
    [{ labels: { A: '' } }, 'label key'],
    [{ ackDeadlineMs: 9_999 }, 'ack_deadline_seconds is 9.999s; it must be between 10s and 600s (10 min)'],
    [{ ackDeadlineMs: 600_001 }, 'ack_deadline_seconds'],
    [{ messageRetentionMs: 599_999 }, 'message_retention_duration'],
    [{ messageRetentionMs: 31 * 86_400_000 + 1 }, 'message_retention_duration'],
    [{ expirationTtlMs: 86_399_999 }, 'expiration_policy.ttl'],
    [{ filter: 'nonsense' }, 'position 1'],
    [{ filter: `attributes:${'k'.repeat(246)}` }, '257 bytes'],
    [{ deadLetter: { topic: deadLetterTopic, deliveryAttemptsMax: 4 } }, 'between 5 and 100'],
    [{ deadLetter: { topic: deadLetterTopic, deliveryAttemptsMax: 101 } }, 'between 5 and 100'],
    [{ deadLetter: { topic: deadLetterTopic, deliveryAttemptsMax: 5.5 } }, 'between 5 and 100'],
    [{ deadLetter: { topic: '', deliveryAttemptsMax: 5 } }, 'not a topic name'],
    [{ retry: { minimumBackoffMs: -1, maximumBackoffMs: 10 } }, 'retry_policy.minimum_backoff'],
    [{ retry: { minimumBackoffMs: 0, maximumBackoffMs: 600_001 } }, 'retry_policy.maximum_backoff'],
    [{ retry: { minimumBackoffMs: 20_000, maximumBackoffMs: 10_000 } }, '(20s) is longer than maximum_backoff (10s)'],
  ])('subscription - I9: refuses %j', async (wrong, says) => {
    await expectRefusal(() => checkSubscription({ ...subscription, ...wrong }), 'INVALID_ARGUMENT', says);
  });

  it.each<Partial<Subscription>>([
    { topic: '_deleted-topic_' },
    { ackDeadlineMs: 600_000 },
    { messageRetentionMs: 600_000 },
    { messageRetentionMs: 31 * 86_400_000 },
    { expirationTtlMs: 86_400_000 },
    { filter: `attributes:${'k'.repeat(245)}` },
    { deadLetter: { topic: deadLetterTopic, deliveryAttemptsMax: 100 } },
    { retry: { minimumBackoffMs: 0, maximumBackoffMs: 0 } },
  ])('subscription - takes %j', (right) => {
    expect(() => checkSubscription({ ...subscription, ...right })).not.toThrow();
  });

  it.each<[string, Partial<Subscription>]>([
    ['labels', { labels: { a: 'b' } }],
    ['ack_deadline_seconds', { ackDeadlineMs: 20_000 }],
    ['retain_acked_messages', { retainAckedMessages: true }],
    ['message_retention_duration', { messageRetentionMs: 700_000 }],
    ['expiration_policy', { expirationTtlMs: 90_000_000 }],
    ['dead_letter_policy', { deadLetter: { topic: deadLetterTopic, deliveryAttemptsMax: 9 } }],
    ['retry_policy', { retry: { minimumBackoffMs: 1, maximumBackoffMs: 2 } }],
    ['enable_exactly_once_delivery', { enableExactlyOnceDelivery: true }],
  ])('subscription - %s can be updated, alone, and set back', (path, change) => {
    const everything = { ...subscription, ...change, filter: 'attributes:other', detached: true };
    const updated = updatedSubscription(subscription, everything, [path]);
    expect(updated).toEqual({ ...subscription, ...change });
    expect(updatedSubscription(updated, subscription, [path])).toEqual(subscription);
  });

  it.each(['name', 'topic', 'enable_message_ordering', 'filter', 'detached'])(
    'subscription - I9: %s cannot be updated',
    async (path) => {
      await expectRefusal(
        () => updatedSubscription(subscription, subscription, [path]),
        'INVALID_ARGUMENT',
        path,
        'cannot be changed',
      );
    },
  );

  it('subscription - I9: only whole fields can be named in an update', async () => {
    const paths = ['retry_policy.minimum_backoff'];
    await expectRefusal(
      () => updatedSubscription(subscription, subscription, paths),
      'INVALID_ARGUMENT',
      'retry_policy',
    );
  });
});
