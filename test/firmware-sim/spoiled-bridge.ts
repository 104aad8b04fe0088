import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Broker, type Published, startBroker } from './broker.ts';

/** What is stored of a published message: by default itself, once. */
export type Spoil = (published: Published, nth: number) => Buffer[];

export interface SpoiledBridge {
  readonly mqttUrl: string;
  readonly httpUrl: string;
  readonly requests: readonly string[];
  /** While above 0, requests are answered with 503 and it counts down. */
  failures: number;
  close(): Promise<void>;
}

/**
 * A server that does wrong on purpose, since the proof must be seen to fail and the real one gives no occasion: Aedes in
 * front, a list in memory behind, and as much of the REST API as the verifier uses. Ack deadlines do not exist; with
 * `forgetAcks` the first so many acknowledged messages come again.
 */
export async function startSpoiledBridge(spoil: Spoil, forgetAcks = 0): Promise<SpoiledBridge> {
  const queue: { readonly id: string; readonly data: string }[] = [];
  const leased = new Map<string, { readonly id: string; readonly data: string }>();
  let subscribed = false;
  let stored = 0;
  let toForget = forgetAcks;
  const broker: Broker = await startBroker((published) => {
    if (!subscribed) return;
    for (const bytes of spoil(published, broker.published.length)) {
      stored += 1;
      queue.push({ id: String(stored), data: bytes.toString('base64') });
    }
  });
  const verbs: Record<string, (body: { maxMessages: number; ackIds: string[] }) => unknown> = {
    pull({ maxMessages }) {
      const taken = queue.splice(0, maxMessages);
      for (const message of taken) leased.set(message.id, message);
      return { receivedMessages: taken.map(({ id, data }) => ({ ackId: id, message: { messageId: id, data } })) };
    },
    acknowledge({ ackIds }) {
      for (const id of ackIds) {
        const message = leased.get(id);
        leased.delete(id);
        if (message === undefined || toForget === 0) continue;
        toForget -= 1;
        queue.push(message);
      }
      return {};
    },
  };
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url = '' } = request;
    const verb = url.split(':')[1] ?? method;
    requests.push(verb);
    if (bridge.failures > 0) {
      bridge.failures -= 1;
      answer(response, 503, { error: { code: 503, message: 'not now', status: 'UNAVAILABLE' } });
      return;
    }
    if (method === 'PUT') subscribed = true;
    answer(response, 200, verbs[verb]?.(await bodyOf(request)) ?? {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bridge: SpoiledBridge = {
    mqttUrl: `mqtt://127.0.0.1:${broker.port}`,
    httpUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    failures: 0,
    async close() {
      server.closeAllConnections();
      server.close();
      await broker.close();
    },
  };
  return bridge;
}

async function bodyOf(request: IncomingMessage) {
  const chunks: Buffer[] = await request.toArray();
  return JSON.parse(Buffer.concat(chunks).toString() || '{}');
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
