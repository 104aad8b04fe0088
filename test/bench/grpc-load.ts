import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { messageType } from '../../src/api/grpc/protocol.ts';

// Publishers and one StreamingPull on bare grpc-js, in a process of their own so that the server's CPU time is only the
// server's. Requests are encoded once, and of responses only the ack ids are read: what is left is the server's pace.

export interface GrpcLoadPlan {
  readonly address: string; // host:port
  readonly topic: string;
  readonly subscription: string;
  readonly publishers: number;
  /** Publish requests that each publisher has under way; Google's clients do not wait for one before the next. */
  readonly window: number;
  readonly batch: number;
  readonly messages: number;
  readonly payloadBytes: number;
  /** `stream`: acks go over the stream; `unary`: by Acknowledge, as Google's clients do. */
  readonly acks: 'stream' | 'unary';
  /** Publish requests a second of all publishers together; absent: as fast as they are answered. */
  readonly batchesPerSecond?: number;
}

export interface GrpcLoadResult {
  readonly messages: number;
  readonly seconds: number;
  /** From the publish call to the arrival of the response, of the last message of each batch. */
  readonly latenciesMs: readonly number[];
}

const passThrough = (bytes: Buffer) => bytes;
const paths = {
  publish: '/google.pubsub.v1.Publisher/Publish',
  acknowledge: '/google.pubsub.v1.Subscriber/Acknowledge',
  stream: '/google.pubsub.v1.Subscriber/StreamingPull',
};

/** Publishes, receives and acks `messages` messages; resolves when the last ack is sent and answered. */
export async function runGrpcLoad(plan: GrpcLoadPlan): Promise<GrpcLoadResult> {
  const channel = { 'grpc.max_receive_message_length': -1, 'grpc.use_local_subchannel_pool': 1 };
  const open = () => new Client(plan.address, credentials.createInsecure(), channel);
  const [consumer, ...publishers] = Array.from({ length: plan.publishers + 1 }, open) as [Client, ...Client[]];
  const startMs = performance.now();
  const consumption = new Consumption(consumer, plan);
  await Promise.all([consumption.done, publishAll(publishers, plan)]);
  const seconds = (performance.now() - startMs) / 1000;
  for (const client of [consumer, ...publishers]) client.close();
  return { messages: plan.messages, seconds, latenciesMs: consumption.latenciesMs };
}

async function publishAll(clients: readonly Client[], plan: GrpcLoadPlan): Promise<void> {
  let batchesLeft = Math.ceil(plan.messages / plan.batch);
  let nextMs = performance.now();
  const turn = async (client: Client) => {
    while (batchesLeft-- > 0) {
      if (plan.batchesPerSecond) {
        nextMs += 1000 / plan.batchesPerSecond;
        const waitMs = nextMs - performance.now();
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      await unary(client, paths.publish, publishRequest(plan));
    }
  };
  await Promise.all(clients.flatMap((client) => Array.from({ length: plan.window }, () => turn(client))));
}

/** The time of publishing stands in the first bytes of every payload. */
function publishRequest({ topic, batch, payloadBytes }: GrpcLoadPlan): Buffer {
  const data = Buffer.alloc(payloadBytes, 'x');
  data.writeDoubleBE(performance.now());
  const messages = Array.from({ length: batch }, () => ({ data }));
  return Buffer.from(messageType('google.pubsub.v1.PublishRequest').encode({ topic, messages }).finish());
}

function unary(client: Client, path: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, passThrough, passThrough, request, new Metadata(), {}, (error, reply) => {
      if (error) reject(error);
      else resolve(reply!);
    });
  });
}

/** The one stream, until everything was received and acked. */
class Consumption {
  readonly latenciesMs: number[] = [];
  readonly done: Promise<void>;
  readonly #client: Client;
  readonly #plan: GrpcLoadPlan;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  #received = 0;
  #acksOpen = 0;
  #finish = () => {};

  constructor(client: Client, plan: GrpcLoadPlan) {
    this.#client = client;
    this.#plan = plan;
    this.#stream = client.makeBidiStreamRequest(paths.stream, passThrough, passThrough);
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#stream.on('error', reject);
    });
    this.#stream.on('data', (bytes: Buffer) => this.#take(bytes));
    const first = { subscription: plan.subscription, streamAckDeadlineSeconds: 60 };
    this.#stream.write(requestBytes('StreamingPullRequest', first));
  }

  #take(bytes: Buffer): void {
    const { ackIds, publishedMs } = readResponse(bytes);
    if (ackIds.length === 0) return;
    this.latenciesMs.push(performance.now() - publishedMs);
    this.#received += ackIds.length;
    if (this.#plan.acks === 'stream') this.#stream.write(requestBytes('StreamingPullRequest', { ackIds }), this.#acked);
    else {
      const { subscription } = this.#plan;
      const request = requestBytes('AcknowledgeRequest', { subscription, ackIds });
      void unary(this.#client, paths.acknowledge, request).then(this.#acked);
    }
    this.#acksOpen++;
  }

  #acked = (): void => {
    this.#acksOpen--;
    if (this.#received < this.#plan.messages || this.#acksOpen > 0) return;
    this.#stream.once('end', this.#finish); // the server ends it once the acks are durable
    this.#stream.end();
  };
}

function requestBytes(type: string, request: object): Buffer {
  return Buffer.from(messageType(`google.pubsub.v1.${type}`).encode(request).finish());
}

/** received_messages[].ack_id, and the time in the payload of the last one. */
function readResponse(bytes: Buffer): { ackIds: string[]; publishedMs: number } {
  const reader = protobuf.Reader.create(bytes);
  const ackIds: string[] = [];
  let publishedMs = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 !== 1) reader.skipType(tag & 7);
    else {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) {
        const field = reader.uint32();
        if (field === 10) ackIds.push(reader.string());
        else if (field === 18) publishedMs = readPayloadTime(bytes, reader);
        else reader.skipType(field & 7);
      }
    }
  }
  return { ackIds, publishedMs };
}

/** `data` is the first field of a PubsubMessage. */
function readPayloadTime(bytes: Buffer, reader: protobuf.Reader): number {
  const end = reader.uint32() + reader.pos;
  reader.uint32();
  reader.uint32();
  const time = bytes.readDoubleBE(reader.pos);
  reader.pos = end;
  return time;
}

const [plan] = process.argv.slice(2);
if (plan && process.send) process.send(await runGrpcLoad(JSON.parse(plan)));
