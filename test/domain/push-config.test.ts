import { describe, expect, it } from 'vitest';
import { checkPushConfig, type PushConfig, withVersionOf } from '../../src/domain/push-config.ts';
import { checkSubscription, updatedSubscription } from '../../src/domain/subscription.ts';
import { subscriptionWithDefaults } from '../../src/domain/subscription-settings.ts';
import { expectRefusal } from '../support/refusal.ts';

const endpoint = 'https://example.com/push';
const pushed = subscriptionWithDefaults({
  name: 'projects/p/subscriptions/worker',
  topic: 'projects/p/topics/telemetry',
  push: { endpoint },
});

describe('push configuration', () => {
  it.each<PushConfig>([
    { endpoint },
    { endpoint: 'http://worker:8080/push?token=a&b=%20' },
    { endpoint: 'https://[2606:4700::1111]/push' },
    { endpoint, oidc: { serviceAccountEmail: 'push@project.iam.gserviceaccount.com', audience: 'any text' } },
    { endpoint, wrapper: { kind: 'none', writeMetadata: true } },
  ])('push configuration - %j is allowed', (push) => {
    expect(() => checkPushConfig(push)).not.toThrow();
  });

  it.each([
    ['', 'is not a URL'],
    ['example.com/push', 'is not a URL'],
    ['https://', 'is not a URL'],
    ['https://exa mple.com/', 'is not a URL'],
    ['ftp://example.com/', 'neither https nor http'],
    ['javascript:alert(1)', 'neither https nor http'],
    ['https://user:secret@example.com/', 'holds credentials'],
    ['https://example.com/#part', 'has a fragment'],
    [`https://example.com/${'x'.repeat(2048)}`, 'more than 2048 characters'],
  ])('push configuration - the endpoint %j is refused: it %s (I9)', async (refused, why) => {
    await expectRefusal(() => checkPushConfig({ endpoint: refused }), 'INVALID_ARGUMENT', why);
  });

  it.each([
    ['', 'no service_account_email'],
    ['nobody', 'not an email'],
    ['a b@c', 'not an email'],
    [`${'a'.repeat(320)}@b`, 'not an email'],
  ])('push configuration - the service account %j is refused (I9)', async (serviceAccountEmail, why) => {
    await expectRefusal(() => checkPushConfig({ endpoint, oidc: { serviceAccountEmail } }), 'INVALID_ARGUMENT', why);
  });

  it('push configuration - an audience has a bound (I9)', async () => {
    const oidc = { serviceAccountEmail: 'a@b', audience: 'x'.repeat(2049) };
    await expectRefusal(() => checkPushConfig({ endpoint, oidc }), 'INVALID_ARGUMENT', '2049');
  });

  it('push configuration - exactly-once delivery does not go with it, whichever comes first', async () => {
    const both = { ...pushed, enableExactlyOnceDelivery: true };
    await expectRefusal(() => checkSubscription(both), 'INVALID_ARGUMENT', 'enable_exactly_once_delivery');
    const mask = ['enable_exactly_once_delivery'];
    await expectRefusal(() => updatedSubscription(pushed, both, mask), 'INVALID_ARGUMENT', 'push');
  });

  it('push configuration - an update changes it, and takes it away', () => {
    const other = { ...pushed, push: { endpoint: 'https://example.com/other' } };
    expect(updatedSubscription(pushed, other, ['push_config']).push).toEqual(other.push);
    const { push: _, ...pulled } = pushed;
    expect(updatedSubscription(pushed, pulled, ['push_config'])).toEqual(pulled);
  });

  it('push configuration - one that names no version keeps the version before', () => {
    const before: PushConfig = { endpoint, version: 'v1beta2' };
    expect(withVersionOf(before, { endpoint })).toEqual(before);
    expect(withVersionOf(before, { endpoint, version: 'v1' })).toEqual({ endpoint, version: 'v1' });
    expect(withVersionOf(undefined, { endpoint })).toEqual({ endpoint });
  });
});
