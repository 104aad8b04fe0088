import { describe, expect, it } from 'vitest';
import { deadLetterMessage, hasSpentAttempts } from '../../src/domain/dead-letter.ts';
import { encodeRecord, type StoredMessage } from '../../src/domain/message.ts';

const policy = { topic: 'projects/p/topics/dead', deliveryAttemptsMax: 5 };
const source = { subscription: 'projects/fleet/subscriptions/worker', policy, attempt: 6 };
const message: StoredMessage = {
  data: Buffer.from('broken'),
  attributes: { deviceId: 'd1' },
  orderingKey: 'd1',
  messageId: '1024',
  publishMs: Date.UTC(2026, 10, 21, 3, 4, 5, 678),
};

describe('dead letters', () => {
  it('dead letter - keeps the message and says where it comes from', () => {
    expect(deadLetterMessage(message, source)).toEqual({
      data: message.data,
      orderingKey: 'd1',
      attributes: {
        deviceId: 'd1',
        CloudPubSubDeadLetterSourceSubscription: 'worker',
        CloudPubSubDeadLetterSourceSubscriptionProject: 'fleet',
        CloudPubSubDeadLetterSourceDeliveryCount: '5',
        CloudPubSubDeadLetterSourceTopicPublishTime: '2026-11-21T03:04:05.678Z',
      },
    });
  });

  it('dead letter - I3: a message with 100 attributes still fits', () => {
    const attributes = Object.fromEntries(Array.from({ length: 98 }, (_, i) => [`k${i}`, 'v']));
    const dead = deadLetterMessage({ ...message, attributes }, source);
    expect(Object.keys(dead.attributes)).toHaveLength(100);
    expect(dead.attributes).toMatchObject({ ...attributes, CloudPubSubDeadLetterSourceSubscription: 'worker' });
    expect(() => encodeRecord(dead)).not.toThrow();
  });

  it('dead letter - a second journey names the second source', () => {
    const first = deadLetterMessage(message, source);
    const again = deadLetterMessage(
      { ...message, ...first },
      { ...source, subscription: 'projects/p/subscriptions/next' },
    );
    expect(again.attributes).toMatchObject({ CloudPubSubDeadLetterSourceSubscription: 'next', deviceId: 'd1' });
  });

  it('dead letter - attempts are spent after the last allowed delivery, and never without a policy', () => {
    expect([1, 5, 6].map((attempt) => hasSpentAttempts(policy, attempt))).toEqual([false, false, true]);
    expect(hasSpentAttempts(undefined, 1000)).toBe(false);
  });
});
