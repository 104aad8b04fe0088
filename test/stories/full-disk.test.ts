import { execFileSync } from 'node:child_process';
import mqtt from 'mqtt';
import { expect, it } from 'vitest';
import { RestClient } from '../support/rest-client.ts';
import { serverUnderTest } from '../support/server-under-test.ts';
import { tempDirectory } from '../support/temp-directory.ts';

/** The largest file that the server may write: the kernel then refuses writes as it does on a full disk. */
const fileBytesMax = 12 * 1024 * 1024;

it('stories - a full disk stops acknowledging, turns /readyz red, and heals when there is room (I1, I10)', async () => {
  const dataDir = tempDirectory();
  const server = await serverUnderTest({ dataDir, wrapper: ['prlimit', `--fsize=${fileBytesMax}:unlimited`] });
  const rest = new RestClient(server.httpUrl);
  await rest.createSubscription('full-disk', 'telemetry');
  const ready = async () => (await fetch(`${server.httpUrl}/readyz`)).status;
  expect(await ready()).toBe(200);

  // REST publishers are answered 503, and what was answered 200 is there afterwards.
  const data = Buffer.alloc(512 * 1024, 'x').toString('base64');
  const acknowledged: string[] = [];
  let refusal = '';
  while (refusal === '' && acknowledged.length < 100) {
    const published = rest.publish('telemetry', [{ data }]);
    await published.then(
      (ids) => acknowledged.push(...ids),
      (error: Error) => {
        refusal = error.message;
      },
    );
  }
  expect(refusal).toMatch(/503.*UNAVAILABLE/s);
  await expect.poll(ready).toBe(503);

  // An MQTT publish is not acknowledged: the connection is closed and the client sends again once there is room.
  const client = await mqtt.connectAsync(server.mqttUrl, { clientId: 'd1', clean: false, reconnectPeriod: 200 });
  const closed = new Promise((resolve) => client.once('close', () => resolve('closed')));
  const published = client.publishAsync('devices/d1/events', Buffer.alloc(900 * 1024, 'y'), { qos: 1 });
  expect(await Promise.race([closed, published.then(() => 'acknowledged')])).toBe('closed');

  execFileSync('prlimit', ['--pid', String(server.pid), '--fsize=unlimited']);
  await published;
  await expect.poll(ready, { timeout: 15_000 }).toBe(200);
  await client.endAsync();

  const received = new Set<string>();
  while (received.size < acknowledged.length + 1) {
    const messages = await rest.pull('full-disk', 100);
    for (const { message } of messages) received.add(message.messageId);
    await rest.acknowledge(
      'full-disk',
      messages.map(({ ackId }) => ackId),
    );
  }
  expect([...received]).toEqual(expect.arrayContaining(acknowledged));
  expect(await server.stop()).toBe(0);
}, 60_000);
