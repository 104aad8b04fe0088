import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

// Sends one message through a running server, whose log is in the file named by the first argument: MQTT publish,
// Pub/Sub pull, ack. Exits 1 when it does not come out as it went in. For `.ci/run`.

const ready = readFileSync(process.argv[2]!, 'utf8')
  .split('\n')
  .find((line) => line.includes('"msg":"ready"'));
if (!ready) throw new Error('The log has no ready line.');
const { mqtt: mqttUrl, http } = JSON.parse(ready) as { mqtt: string; http: string };
const subscription = `${http}/v1/projects/headwater/subscriptions/one-message`;

async function call(method: string, url: string, body: unknown): Promise<{ receivedMessages?: Received[] }> {
  const response = await fetch(url, { method, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as { receivedMessages?: Received[] };
}

interface Received {
  readonly ackId: string;
  readonly message: { readonly data: string; readonly attributes: Record<string, string> };
}

await call('PUT', subscription, { topic: 'projects/headwater/topics/telemetry' });
const client = await mqtt.connectAsync(mqttUrl);
await client.publishAsync('devices/d1/events/alerts', 'hello', { qos: 1 });
await client.endAsync();
const { receivedMessages } = await call('POST', `${subscription}:pull`, { maxMessages: 1 });
const [received] = receivedMessages ?? [];
if (Buffer.from(received?.message.data ?? '', 'base64').toString() !== 'hello') throw new Error('It did not come out.');
if (received!.message.attributes['subFolder'] !== 'alerts') throw new Error('Its attributes are wrong.');
await call('POST', `${subscription}:acknowledge`, { ackIds: [received!.ackId] });
