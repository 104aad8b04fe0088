import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasExpired, retentionMsOf, type SubscriptionNeed, trimOffset } from '../../src/domain/retention.ts';
import { subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import { holds } from '../support/property.ts';

const subscription = subscriptionWithDefaults({
  name: 'projects/p/subscriptions/worker',
  topic: 'projects/p/topics/telemetry',
  messageRetentionMs: 600_000,
  expirationTtlMs: 86_400_000,
});
const need = (part: Partial<SubscriptionNeed>): SubscriptionNeed => ({
  firstUnacked: 1,
  firstRetained: 1,
  retainAckedMessages: false,
  detached: false,
  ...part,
});

describe('retention', () => {
  it.each<[string, number, number | undefined, SubscriptionNeed[], number[]]>([
    ['a log that nobody reads is emptied', 100, undefined, [], []],
    ['the topic keeps its own', 40, 40, [need({ firstUnacked: 90 })], []],
    ['the slowest subscription decides', 30, undefined, [need({ firstUnacked: 30 }), need({ firstUnacked: 80 })], []],
    ['unacked past retention may go', 50, undefined, [need({ firstUnacked: 30, firstRetained: 50 })], []],
    [
      'acked in retention stays if wanted',
      20,
      100,
      [need({ firstUnacked: 90, firstRetained: 20, retainAckedMessages: true })],
      [],
    ],
    ['a snapshot keeps its unacked', 10, undefined, [need({ firstUnacked: 90 })], [10, 60]],
    [
      'a detached subscription needs nothing',
      90,
      undefined,
      [need({ detached: true }), need({ firstUnacked: 90 })],
      [],
    ],
  ])('retention - %s', (_claim, expected, topicFirst, subscriptions, snapshots) => {
    expect(trimOffset(100, topicFirst, subscriptions, snapshots)).toBe(expected);
  });

  it('retention - I3: nothing that is unacked and in retention is ever trimmed', async () => {
    const head = 100;
    const offset = fc.integer({ min: 1, max: head });
    const anyNeed = fc.record({
      firstUnacked: offset,
      firstRetained: offset,
      retainAckedMessages: fc.boolean(),
      detached: fc.constant(false),
    });
    await holds(
      fc.property(
        fc.array(anyNeed),
        fc.array(offset),
        fc.option(offset, { nil: undefined }),
        (needs, snapshots, topic) => {
          const trim = trimOffset(head, topic, needs, snapshots);
          for (const { firstUnacked, firstRetained } of needs) {
            expect(trim).toBeLessThanOrEqual(Math.max(firstUnacked, firstRetained));
          }
          for (const snapshot of snapshots) expect(trim).toBeLessThanOrEqual(snapshot);
        },
      ),
    );
  });

  it('retention - the longer one of topic and subscription counts', () => {
    const topic = { name: subscription.topic, labels: {} };
    expect(retentionMsOf(subscription, undefined)).toBe(600_000);
    expect(retentionMsOf(subscription, { ...topic, messageRetentionMs: 700_000 })).toBe(700_000);
    expect(retentionMsOf(subscription, { ...topic, messageRetentionMs: 600_000 })).toBe(600_000);
  });

  it('retention - a subscription expires once it was idle for longer than its ttl, or never', () => {
    expect(hasExpired(subscription, 0, 86_400_000)).toBe(false);
    expect(hasExpired(subscription, 0, 86_400_001)).toBe(true);
    const lasting = subscriptionWithDefaults({ ...subscription, expirationTtlMs: 'never' });
    expect(hasExpired(lasting, 0, Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});
