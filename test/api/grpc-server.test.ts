import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import descriptor from 'protobufjs/ext/descriptor.js';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { StoreHealth } from '../../src/store/store.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { openApi } from './api-under-test.ts';
import { GrpcClient, type Message } from './grpc-client.ts';

async function opened(options: Parameters<typeof openApi>[0] = {}) {
  const api = await openApi(options);
  const clients: GrpcClient[] = [];
  const client = () => {
    const grpc = new GrpcClient(api.url);
    clients.push(grpc);
    return grpc;
  };
  onTestFinished(async () => {
    for (const grpc of clients) grpc.close();
    await api.close();
  });
  return { api, grpc: client(), client };
}

/** A bare connection, and all that comes back on it. */
function connected(url: string): { socket: Socket; answer: () => string; closed: Promise<unknown> } {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('error', () => {}); // a server that is done with a client may reset it
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  onTestFinished(() => void socket.destroy());
  return { socket, answer: () => answer, closed: once(socket, 'close') };
}

const topic = 'projects/p/topics/feed';
const subscription = 'projects/p/subscriptions/feed';
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describe('one port', () => {
  it('port - REST and gRPC see the same topics', async () => {
    const { api, grpc } = await opened();
    await grpc.call('CreateTopic', { name: topic, labels: { by: 'grpc' } });
    expect(await api.call('GET', topic)).toMatchObject({ status: 200, body: { labels: { by: 'grpc' } } });
    await api.call('PUT', 'projects/p/topics/rest');
    const { topics } = await grpc.call('ListTopics', { project: 'projects/p' });
    expect(topics.map(({ name }: Message) => name)).toEqual([topic, 'projects/p/topics/rest']);
    expect(api.http.counters().connectionsByProtocol).toEqual({ 'HTTP/1.1': expect.any(Number), 'HTTP/2': 1 });
  });

  it('port - the preface may come a byte at a time', async () => {
    const { api } = await opened();
    const { socket, answer } = connected(api.url);
    socket.setNoDelay(true);
    for (const byte of preface) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])); // empty SETTINGS
    await vi.waitFor(() => expect(answer().length).toBeGreaterThanOrEqual(9)); // the server's SETTINGS
    expect(answer().charCodeAt(3)).toBe(4);
  });

  it('port - an HTTP/1.1 request that begins with P is one, and pipelined requests are answered in order', async () => {
    const { api } = await opened();
    const { socket, answer } = connected(api.url);
    socket.write('P');
    socket.write('UT /v1/projects/p/topics/one HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await vi.waitFor(() => expect(answer().match(/HTTP\/1.1 200 OK/g)?.length).toBe(3));
    expect(answer()).toMatch(/topics\/one.*"status":"ok".*Headwater/s);
  });

  it('port - a connection that says nothing is closed and counted', async () => {
    const { api } = await opened({ limits: { headersTimeoutMs: 50 } });
    const [silent, hesitant] = [connected(api.url), connected(api.url)];
    hesitant.socket.write('PR');
    await Promise.all([silent.closed, hesitant.closed]);
    await vi.waitFor(() => expect(api.http.counters()).toMatchObject({ connectionsSilent: 2, connectionsUnsorted: 0 }));
  });

  it('port - connections that come and go before they say anything leave nothing behind', async () => {
    const { api } = await opened();
    const sockets = Array.from({ length: 20 }, () => connected(api.url));
    await vi.waitFor(() => expect(api.http.counters().connectionsUnsorted).toBe(20));
    for (const { socket } of sockets) socket.end();
    await Promise.all(sockets.map(({ closed }) => closed));
    await vi.waitFor(() => expect(api.http.counters()).toMatchObject({ connectionsUnsorted: 0, connectionsSilent: 0 }));
  });

  it('port - both protocols share the bound on connections', async () => {
    const { api, grpc } = await opened({ limits: { connectionsMax: 1 } });
    await grpc.call('CreateTopic', { name: topic });
    await connected(api.url).closed;
    expect(api.http.counters().connectionsRefused).toBe(1);
    expect(await grpc.call('GetTopic', { topic })).toMatchObject({ name: topic });
  });

  it('port - a client that goes away takes its connection along', async () => {
    const { api, client } = await opened();
    const open = () => new Promise<number>((resolve) => api.http.server.getConnections((_, count) => resolve(count)));
    const clients = Array.from({ length: 10 }, client);
    await Promise.all(clients.map((grpc) => grpc.refusal('GetTopic', { topic })));
    expect(await open()).toBe(10);
    for (const grpc of clients) grpc.close();
    await vi.waitFor(async () => expect(await open()).toBe(0));
  });

  it('port - HTTP/2 that is no gRPC is refused by its content type, junk in HTTP/2 closes only its own connection', async () => {
    const { api, grpc } = await opened();
    const { socket, closed } = connected(api.url);
    socket.write(`${preface}junk that is no frame at all`.repeat(3));
    await closed;
    expect(await grpc.refusal('GetTopic', { topic })).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('bounds of gRPC', () => {
  it('bounds - a connection that answers no ping is closed, however far it got', async () => {
    const { api } = await opened({ grpcLimits: { pingMs: 30, pingTimeoutMs: 30 } });
    const [begun, deaf] = [connected(api.url), connected(api.url)];
    begun.socket.write('PRI');
    deaf.socket.write(Buffer.concat([Buffer.from(preface), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]));
    await Promise.all([begun.closed, deaf.closed]);
  });

  it('bounds - a request of more than twice the limit is cut off, the connection goes on', async () => {
    const { api, grpc } = await opened({ grpcLimits: { requestBytesMax: 1000 } });
    await grpc.call('CreateTopic', { name: topic });
    const publish = (bytes: number) => ({ topic, messages: [{ data: Buffer.alloc(bytes) }] });
    expect(await grpc.refusal('Publish', publish(1500))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('at most 1000 are allowed'),
    });
    expect(await grpc.refusal('Publish', publish(5000))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await grpc.call('Publish', publish(500));
    expect(api.http.counters()).toMatchObject({ callsRefused: 1, callBytesHeld: 0 });
  });

  it('bounds - all requests together are bounded, and what they held is given back', async () => {
    const { api, grpc } = await opened({ grpcLimits: { requestsBytesMax: 100 } });
    await grpc.call('CreateTopic', { name: topic });
    await grpc.call('CreateSubscription', { name: subscription, topic });
    const waiting = grpc.call('Pull', { subscription, maxMessages: 1 });
    await vi.waitFor(() => expect(api.http.counters().pullsWaiting).toBe(1));
    const large = { topic, messages: [{ data: Buffer.alloc(60) }] };
    expect(await grpc.refusal('Publish', large)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await grpc.call('Publish', { topic, messages: [{ data: Buffer.alloc(1) }] });
    await waiting;
    await vi.waitFor(() => expect(api.http.counters().callBytesHeld).toBe(0));
    await grpc.call('Publish', large);
  });

  it('bounds - calls are counted by method and how they ended', async () => {
    const { api, grpc } = await opened();
    await grpc.call('CreateTopic', { name: topic });
    await grpc.refusal('CreateTopic', { name: topic });
    await grpc.refusal('Pull', { subscription, maxMessages: 1 });
    await vi.waitFor(() =>
      expect(Object.fromEntries(api.http.counters().callsByOutcome)).toEqual({
        'google.pubsub.v1.Publisher/CreateTopic OK': 1,
        'google.pubsub.v1.Publisher/CreateTopic ALREADY_EXISTS': 1,
        'google.pubsub.v1.Subscriber/Pull NOT_FOUND': 1,
      }),
    );
  });

  it('bounds - a bug is INTERNAL with the id of its line in the log, and nothing of its text', async () => {
    const broken = { get: () => Promise.reject(new TypeError('secret')) };
    const { api, grpc } = await opened({
      pubsub: (real) => ({ ...real, topics: { ...real.topics, ...broken } as never }),
    });
    const refusal = await grpc.refusal('GetTopic', { topic });
    expect(refusal).toMatchObject({ code: 'INTERNAL', message: expect.stringMatching(/request grpc-\d+\.$/) });
    expect(refusal.message).not.toContain('secret');
    expect(api.log.join()).toContain('secret');
    expect(api.log.join()).toContain(/grpc-\d+/.exec(refusal.message)![0]);
  });
});

describe('the end of the server', () => {
  it('close - a pull that waits is answered, new calls are turned away, idle connections do not hold it up', async () => {
    const { api, grpc, client } = await opened();
    const idle = client();
    await idle.call('CreateTopic', { name: topic });
    await grpc.call('CreateSubscription', { name: subscription, topic });
    const waiting = grpc.call('Pull', { subscription, maxMessages: 1 });
    await vi.waitFor(() => expect(api.http.counters().pullsWaiting).toBe(1));
    const closed = api.http.close(10_000);
    expect((await waiting).receivedMessages).toEqual([]);
    await closed;
    expect(await client().refusal('GetTopic', { topic })).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('close - what does not end by itself is cut at the deadline', async () => {
    const { api, grpc } = await opened();
    const watch = grpc.stream('ServerReflectionInfo', { listServices: '*' });
    await vi.waitFor(() => expect(watch.responses.length).toBe(1));
    await api.http.close(50);
    expect((await watch.ended).code).not.toBe('OK');
    expect(api.http.counters().callsOpen).toBe(0);
  });
});

describe('health', () => {
  it('health - the server and each of its services are SERVING, others NOT_FOUND', async () => {
    const { grpc } = await opened();
    for (const service of ['', 'google.pubsub.v1.Publisher', 'google.pubsub.v1.Subscriber']) {
      expect(await grpc.call('Check', { service })).toMatchObject({ status: 1 });
    }
    expect(await grpc.refusal('Check', { service: 'wat' })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('health - a store that takes no writes is NOT_SERVING', async () => {
    const clock = virtualClock();
    let health: StoreHealth = {
      writable: false,
      level: 'fsynced',
      durability: 'fsynced',
      problem: 'The disk is full.',
    };
    const { grpc } = await opened({ clock, health: async () => health });
    expect(await grpc.call('Check', {})).toMatchObject({ status: 2 });
    health = { writable: true, level: 'fsynced', durability: 'fsynced' };
    clock.advance(1000);
    expect(await grpc.call('Check', {})).toMatchObject({ status: 1 });
  });

  it('health - a watcher hears how it is, and when the server closes', async () => {
    const { api, grpc } = await opened();
    const watch = grpc.stream('Watch', { service: '' });
    const unknown = grpc.stream('Watch', { service: 'wat' });
    for (const { call } of [watch, unknown]) call.end();
    await vi.waitFor(() => expect(watch.responses.length + unknown.responses.length).toBe(2));
    expect(unknown.responses).toMatchObject([{ status: 3 }]);
    await api.http.close(5000);
    await watch.ended;
    expect(watch.responses).toMatchObject([{ status: 1 }, { status: 2 }]);
  });
});

describe('reflection', () => {
  async function asked(request: object): Promise<Message> {
    const { grpc } = await opened();
    const stream = grpc.stream('ServerReflectionInfo', request);
    await vi.waitFor(() => expect(stream.responses.length).toBe(1));
    stream.call.end();
    expect(await stream.ended).toMatchObject({ code: 'OK' });
    return stream.responses[0];
  }

  it('reflection - it lists the services', async () => {
    const { listServicesResponse } = await asked({ listServices: '*' });
    expect(listServicesResponse.service.map(({ name }: Message) => name)).toEqual([
      'google.pubsub.v1.Publisher',
      'google.pubsub.v1.Subscriber',
      'google.pubsub.v1.SchemaService',
      'google.iam.v1.IAMPolicy',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
  });

  for (const symbol of ['google.pubsub.v1.Publisher', 'google.pubsub.v1.Publisher.Publish', 'google.iam.v1.Policy']) {
    it(`reflection - ${symbol} is found, with every file that it needs`, async () => {
      const { fileDescriptorResponse } = await asked({ fileContainingSymbol: symbol });
      const files = fileDescriptorResponse.fileDescriptorProto.map((bytes: Buffer) =>
        descriptor.FileDescriptorProto.decode(bytes),
      );
      const names = files.map(({ name }: Message) => name);
      for (const { dependency } of files) for (const needed of dependency) expect(names).toContain(needed);
      const [{ package: packageName }] = files;
      expect(symbol.startsWith(packageName)).toBe(true);
    });
  }

  it('reflection - what is not there is NOT_FOUND', async () => {
    for (const request of [
      { fileContainingSymbol: 'wat' },
      { fileByFilename: 'wat' },
      { allExtensionNumbersOfType: 'wat' },
    ]) {
      expect((await asked(request)).errorResponse).toMatchObject({ errorCode: 5 });
    }
  });
});
