import { isIP } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Egress } from '../../src/pubsub/push/egress.ts';
import { HttpPushSender, type Resolve } from '../../src/pubsub/push/http-push-sender.ts';
import { processSchedule } from '../../src/pubsub/schedule.ts';
import { testCertificate } from '../mqtt/support/certificate.ts';
import { PushEndpoint } from '../support/push-endpoint.ts';
import { expectRefusal } from '../support/refusal.ts';
import { endCores, openCore, worker } from './core.ts';

const strict = new Egress({ loopback: false, allow: [] });
const local = new Egress({ loopback: true, allow: [] });
const poll = { timeout: 10_000, interval: 5 };
const endpoints: PushEndpoint[] = [];

afterEach(async () => {
  await endCores();
  for (const each of endpoints.splice(0)) await each.stop();
});

/** @param addresses of every name; undefined: there is no such name. */
function sender(egress: Egress, addresses: () => string[] | undefined, ca?: string): HttpPushSender {
  const resolve: Resolve = (_hostname, _options, done) => {
    const found = addresses()?.map((address) => ({ address, family: isIP(address) }));
    if (found) done(null, found);
    else done(new Error('no such name'), []);
  };
  return new HttpPushSender({ egress, schedule: processSchedule, resolve, ...(ca && { ca }) });
}

const requestTo = (to: string) => ({ endpoint: to, headers: {}, body: '{}', timeoutMs: 10_000 });
const never = new AbortController().signal;

async function endpoint(tls?: typeof testCertificate): Promise<PushEndpoint> {
  const started = await PushEndpoint.start(undefined, tls);
  endpoints.push(started);
  return started;
}

describe('push egress', () => {
  it.each([
    ...[
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.9.9.9',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
    ],
    ...['192.0.0.1', '192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', '::7f00:1', 'fe80::1'],
    ...['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe', 'fc00::1', 'fd00:ec2::254', 'fec0::1', 'ff02::1'],
    ...['64:ff9b::a00:1', '2002:a00:1::', '2001::1', '2001:db8::1'],
  ])('push egress - %s is not a public address', (address) => {
    expect(strict.allows('name.example', address)).toBe(false);
  });

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '2a00:1450::1', '::ffff:8.8.8.8'])(
    'push egress - %s is',
    (address) => {
      expect(strict.allows('name.example', address)).toBe(true);
    },
  );

  it.each([
    'https://127.0.0.1/',
    'https://2130706433/', // the same address as one number
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:7f00:1]/',
    'https://localhost/',
    'https://api.localhost/',
    'https://LOCALHOST./',
    'https://169.254.169.254/computeMetadata/v1/',
    'https://10.0.0.8/',
  ])('push egress - %s is refused when it is asked for (I9)', async (url) => {
    await expectRefusal(() => strict.checkEndpoint(url), 'INVALID_ARGUMENT', 'not a public address');
  });

  it('push egress - http is for this machine and for allowed targets', async () => {
    const allowing = new Egress({ loopback: false, allow: ['Worker', '10.1.0.0/16', 'fd00::/8', '10.9.9.9'] });
    for (const url of ['http://worker/', 'http://10.1.2.3/', 'http://[fd00::7]:8080/', 'https://10.9.9.9/']) {
      expect(() => allowing.checkEndpoint(url)).not.toThrow();
    }
    for (const url of ['http://127.0.0.1:8080/push', 'http://localhost/', 'http://[::1]/']) {
      expect(() => local.checkEndpoint(url)).not.toThrow();
    }
    for (const url of ['http://example.com/', 'http://worker.example/', 'http://8.8.8.8/']) {
      await expectRefusal(() => allowing.checkEndpoint(url), 'INVALID_ARGUMENT', 'in the clear');
    }
    for (const url of ['http://10.2.0.1/', 'https://10.9.9.8/']) {
      await expectRefusal(() => allowing.checkEndpoint(url), 'INVALID_ARGUMENT', 'not a public address');
    }
  });

  it('push egress - an allowed name may be any address, an allowed subnet goes for any name', () => {
    const allowing = new Egress({ loopback: false, allow: ['worker', '10.1.0.0/16'] });
    expect(allowing.allows('worker', '192.168.0.1')).toBe(true);
    expect(allowing.allows('other', '192.168.0.1')).toBe(false);
    expect(allowing.allows('other', '10.1.255.1')).toBe(true);
    expect(allowing.allows('other', '::ffff:10.1.0.1')).toBe(true);
  });

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/a', '::/129', 'http://x', 'a b', '', '*'])(
    'push egress - %j is no target that can be allowed',
    (entry) => {
      expect(() => new Egress({ loopback: false, allow: [entry] })).toThrow('no push target');
    },
  );

  it('push egress - what a name stands for is judged when it is connected to, and nothing is sent', async () => {
    const to = await endpoint(testCertificate);
    const push = sender(strict, () => ['127.0.0.1', '::1', '10.0.0.1']);
    const outcome = await push.send(requestTo(to.url('/push', 'https', 'rebound.example')), never);
    expect(outcome).toMatchObject({ class: 'denied', detail: expect.stringContaining('rebound.example is 127.0.0.1') });
    expect(to.connections).toBe(0);
    push.close();
  });

  it('push egress - of the addresses of a name only those that are allowed are connected to', async () => {
    const to = await endpoint();
    const elsewhere = '127.0.0.2'; // nobody listens there
    const allowing = new Egress({ loopback: false, allow: ['127.0.0.1'] });
    const push = sender(allowing, () => [elsewhere, '127.0.0.1']);
    const outcome = await push.send(requestTo(to.url('/push', 'http', 'both.example')), never);
    expect(outcome).toEqual({ class: 'ack', detail: 'HTTP 204' });
    push.close();
  });

  it('push egress - a name that cannot be resolved is unreachable', async () => {
    const push = sender(strict, () => undefined);
    expect(await push.send(requestTo('https://nowhere.example/'), never)).toMatchObject({ class: 'unreachable' });
    push.close();
  });

  it('push egress - an address is judged too when the rules became stricter since the endpoint was given', async () => {
    const to = await endpoint();
    const lenient = await openCore({}, { egress: { loopback: true, allow: [] } });
    await lenient.topic();
    await lenient.subscription({ push: { endpoint: to.url() } });
    const core = await lenient.restart({ egress: { loopback: false, allow: [] } });
    await core.send(['one']);
    await expect.poll(() => core.counters().pushesDenied, poll).toBeGreaterThan(0);
    expect(to.connections).toBe(0);
  });

  it('push egress - the core asks before it creates or changes a subscription', async () => {
    const core = await openCore();
    await core.topic();
    const push = { endpoint: 'https://10.0.0.1/' };
    await expectRefusal(() => core.subscription({ push }), 'INVALID_ARGUMENT', 'not a public address');
    await core.subscription();
    await expectRefusal(() => core.subscriptions.modifyPushConfig(worker, push), 'INVALID_ARGUMENT', 'push target');
    const wanted = { ...(await core.subscriptions.get(worker)), push };
    await expectRefusal(() => core.subscriptions.update(wanted, ['push_config']), 'INVALID_ARGUMENT', 'push target');
    expect(await core.subscriptions.get(worker)).not.toHaveProperty('push');
  });

  it('push TLS - a certificate that nobody vouches for is refused', async () => {
    const to = await endpoint(testCertificate);
    const core = await openCore({}, { egress: { loopback: true, allow: [] } });
    await core.topic();
    await core.subscription({ push: { endpoint: to.url('/push', 'https') } });
    await core.send(['one']);
    await expect.poll(() => core.counters().pushesUnreachable, poll).toBeGreaterThan(0);
    expect(core.push.health(worker)!.lastFailure!.detail).toContain('certificate');
    expect(to.requests).toEqual([]);
  });

  it('push TLS - with its authority it is trusted, for the names that it is made out to', async () => {
    const to = await endpoint(testCertificate);
    const core = await openCore({}, { egress: { loopback: true, allow: [] }, ca: testCertificate.cert });
    await core.topic();
    await core.subscription({ push: { endpoint: to.url('/push', 'https') } });
    await core.send(['one']);
    await to.received(1);
    const push = sender(local, () => ['127.0.0.1'], testCertificate.cert);
    const outcome = await push.send(requestTo(to.url('/push', 'https', 'other.example')), never);
    expect(outcome).toMatchObject({ class: 'unreachable', detail: expect.stringContaining("certificate's altnames") });
    expect(to.texts).toEqual(['one']);
    push.close();
  });
});
