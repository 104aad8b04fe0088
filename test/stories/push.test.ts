import { describe, expect, it, onTestFinished } from 'vitest';
import { PushEndpoint } from '../support/push-endpoint.ts';
import { RestClient } from '../support/rest-client.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
const perKey = 50;

describe('stories - push', () => {
  it('killed with SIGKILL twice and stopped once while it pushes: every message comes, in order per key (I3, I5, I10)', async () => {
    const to = await PushEndpoint.start();
    onTestFinished(() => to.stop());
    const dataDir = tempDirectory();
    let server = await serverUnderTest({ dataDir });
    const rest = new RestClient(server.httpUrl);
    await rest.createTopic('orders');
    await rest.createSubscription('hook', 'orders', {
      pushConfig: { pushEndpoint: to.url() },
      enableMessageOrdering: true,
    });
    for (const orderingKey of keys) {
      const data = (i: number) => Buffer.from(`${orderingKey} ${i}`).toString('base64');
      await rest.publish(
        'orders',
        Array.from({ length: perKey }, (_, i) => ({ data: data(i), orderingKey })),
      );
    }
    const httpPort = Number(new URL(server.httpUrl).port);
    for (const end of ['kill', 'kill', 'stop'] as const) {
      await to.received(to.requests.length + 50);
      await server[end]();
      server = await serverUnderTest({ dataDir, httpPort });
    }
    const all = keys.length * perKey;
    await expect.poll(() => new Set(to.texts).size, { timeout: 30_000 }).toBe(all);
    for (const key of keys) {
      const first = new Set(to.texts.filter((text) => text.startsWith(`${key} `)));
      expect([...first]).toEqual(Array.from({ length: perKey }, (_, i) => `${key} ${i}`));
    }
    expect(await server.stop()).toBe(0);
  }, 90_000);
});
