import type { Duplex } from 'node:stream';
import {
  type ConnectionInjector,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js';
import type { Streams } from '../../pubsub/pubsub.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { Exchanges } from '../methods/exchanges.ts';
import type { Methods } from '../methods/methods.ts';
import { Calls } from './calls.ts';
import { encoderOf } from './encoding.ts';
import type { GrpcLimits } from './grpc-limits.ts';
import { HealthService } from './health-service.ts';
import { type Rpc, rpcsOf } from './protocol.ts';
import { ReflectionService } from './reflection-service.ts';
import { serveStreamingPull } from './streaming-pull-call.ts';
import { UnaryCalls } from './unary-calls.ts';

export interface GrpcServerOptions {
  readonly methods: Methods;
  readonly streams: Streams;
  /** Whether the store takes writes. */
  readonly ready: () => Promise<boolean>;
  readonly logger: Logger;
  readonly limits: GrpcLimits;
}

type Handler = handleServerStreamingCall<Buffer, object> | handleBidiStreamingCall<Buffer, object>;

/** What is not served of these answers UNIMPLEMENTED. */
const services = [
  'google.pubsub.v1.Publisher',
  'google.pubsub.v1.Subscriber',
  'google.pubsub.v1.SchemaService',
  'google.iam.v1.IAMPolicy',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

/** gRPC over connections that somebody else has accepted. */
export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #exchanges = new Exchanges();
  readonly #unary: UnaryCalls;
  readonly #health: HealthService;

  constructor(options: GrpcServerOptions) {
    const { methods, streams, limits, logger, ready } = options;
    const calls = new Calls(this.#exchanges, logger);
    this.#options = options;
    this.#server = new Server(channelOptions(limits));
    this.#unary = new UnaryCalls({ table: methods.table, calls, limits });
    this.#health = new HealthService({ calls, ready, services });
    const reflection = new ReflectionService({ calls, services });
    const own = new Map<string, Handler>([
      ['/google.pubsub.v1.Subscriber/StreamingPull', serveStreamingPull({ streams, calls, limits })],
      ['/grpc.health.v1.Health/Check', this.#health.check],
      ['/grpc.health.v1.Health/Watch', this.#health.watch],
      ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', reflection.handlerOf('v1')],
      ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', reflection.handlerOf('v1alpha')],
    ]);
    for (const service of services) {
      for (const rpc of rpcsOf(service)) this.#serve(rpc, own.get(rpc.path) ?? this.#unary.handlerOf(rpc));
    }
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Requests cross grpc-js as bytes: what is wrong with one is ours to say. */
  #serve({ path, reply, requestStream }: Rpc, handler: Handler): void {
    const type = requestStream ? 'bidi' : 'serverStream';
    this.#server.register(path, handler, encoderOf(reply), (bytes: Buffer) => bytes, type);
  }

  /** Takes a connection that speaks HTTP/2. */
  inject(connection: Duplex): void {
    this.#injector.injectConnection(connection);
  }

  counters() {
    return {
      callsOpen: this.#exchanges.open,
      /** Ended calls, by `{service}/{method} {code}`. */
      callsByOutcome: this.#exchanges.countByOutcome,
      callBytesHeld: this.#unary.bytesHeld,
      callsRefused: this.#unary.refused,
    };
  }

  /**
   * Ends the streams, lets the calls that are being answered finish, and after `deadlineMs` cuts all connections: by
   * `drain`, because `forceShutdown` of grpc-js 1.14 cuts none when its channelz is off.
   */
  async close(deadlineMs: number): Promise<void> {
    this.#health.close();
    this.#options.streams.close();
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    this.#injector.drain(deadlineMs);
    await closed;
    await this.#exchanges.idle(); // each ends with its connection
  }
}

function channelOptions(limits: GrpcLimits) {
  return {
    'grpc.max_receive_message_length': 2 * limits.requestBytesMax,
    'grpc.max_send_message_length': -1, // what is sent is bounded where it is leased
    'grpc.max_concurrent_streams': limits.callsPerConnectionMax,
    'grpc.keepalive_time_ms': limits.pingMs,
    'grpc.keepalive_timeout_ms': limits.pingTimeoutMs,
    'grpc.enable_channelz': 0,
  };
}
