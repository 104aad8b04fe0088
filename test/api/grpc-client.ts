import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { messageType, rpcsOf } from '../../src/api/grpc/protocol.ts';

// biome-ignore lint/suspicious/noExplicitAny: protobuf messages are what the tests are about
export type Message = any;

export interface Refusal {
  readonly code: string;
  readonly message: string;
  /** google.rpc.ErrorInfo of `grpc-status-details-bin`. */
  readonly info: Message;
}

/** What a stream has given so far, and how it ended. */
export interface OpenStream {
  readonly call: ClientDuplexStream<object, Message>;
  readonly responses: Message[];
  readonly received: Message[];
  /** `OK`, or the code that it ended with. */
  readonly ended: Promise<Refusal>;
  send(request: object): void;
}

/** A raw gRPC client: the bytes of the protos and nothing of Google's libraries. */
export class GrpcClient {
  readonly #client: Client;
  readonly #rpcs = new Map(
    ['google.pubsub.v1.Publisher', 'google.pubsub.v1.Subscriber', 'google.pubsub.v1.SchemaService']
      .concat(['google.iam.v1.IAMPolicy', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection'])
      .flatMap(rpcsOf)
      .map((rpc) => [rpc.name, rpc]),
  );

  constructor(url: string) {
    this.#client = new Client(url.replace('http://', ''), credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1, // a connection of its own
      'grpc.max_send_message_length': -1,
    });
  }

  /** @param name of the method, `CreateTopic` @throws ServiceError */
  call(name: string, request: object, options: { deadlineMs?: number } = {}): Promise<Message> {
    return this.callRaw(name, Buffer.from(this.#rpcs.get(name)!.request.encode(request).finish()), options).promise;
  }

  /** Bytes as they are; `cancel` calls it off. */
  callRaw(name: string, request: Buffer, { deadlineMs }: { deadlineMs?: number } = {}) {
    const { path, reply } = this.#rpcs.get(name)!;
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    let cancel = () => {};
    const promise = new Promise<Message>((resolve, reject) => {
      const done = (error: ServiceError | null, value?: Message) => (error ? reject(error) : resolve(value));
      const decode = (bytes: Buffer) => reply.decode(bytes);
      const call = this.#client.makeUnaryRequest(
        path,
        (bytes: Buffer) => bytes,
        decode,
        request,
        new Metadata(),
        options,
        done,
      );
      cancel = () => call.cancel();
    });
    return { promise, cancel: () => cancel() };
  }

  /** How the call is refused; fails when it is not. */
  async refusal(name: string, request: object, options: { deadlineMs?: number } = {}): Promise<Refusal> {
    try {
      await this.call(name, request, options);
    } catch (error) {
      return refusalOf(error as ServiceError);
    }
    throw new Error(`${name} was allowed`);
  }

  /** A bidirectional or server stream. */
  stream(name: string, first?: object): OpenStream {
    const { path, request: requestType, reply } = this.#rpcs.get(name)!;
    const call = this.#client.makeBidiStreamRequest<object, Message>(
      path,
      (request) => Buffer.from(requestType.encode(request).finish()),
      (bytes) => reply.decode(bytes),
    );
    const responses: Message[] = [];
    const received: Message[] = [];
    call.on('data', (response: Message) => {
      responses.push(response);
      received.push(...(response.receivedMessages ?? []));
    });
    const ended = new Promise<Refusal>((resolve) => {
      call.on('error', (error: ServiceError) => resolve(refusalOf(error)));
      call.on('status', ({ code, details }) => {
        if (code === status.OK) resolve({ code: 'OK', message: details, info: undefined });
      });
    });
    if (first) call.write(first);
    return { call, responses, received, ended, send: (request) => void call.write(request) };
  }

  close(): void {
    this.#client.close();
  }
}

function refusalOf({ code, details, metadata }: ServiceError): Refusal {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  const refusal = { code: status[code], message: details };
  if (!bytes) return { ...refusal, info: undefined };
  const { details: any } = messageType('google.rpc.Status').decode(bytes as Buffer) as Message;
  return { ...refusal, info: messageType('google.rpc.ErrorInfo').decode(any[0].value) };
}
