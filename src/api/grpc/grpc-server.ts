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
import type { GrpcLimits } from './grpc-limits.ts';
import { HealthService } from './health-service.ts';
import { rpcsOf } from './protocol.ts';
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

type Handler = handleServerStreamingCall<Buffer, Uint8Array> | handleBidiStreamingCall<Buffer, Uint8Array>;

/** What is not served of these yet answers UNIMPLEMENTED. */
const tableServices = [
  'google.pubsub.v1.Publisher',
  'google.pubsub.v1.Subscriber',
  'google.pubsub.v1.SchemaService',
  'google.iam.v1.IAMPolicy',
];
const ownServices = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];
const services = [...tableServices, ...ownServices];

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
    this.#serve('/google.pubsub.v1.Subscriber/StreamingPull', 'bidi', serveStreamingPull({ streams, calls, limits }));
    for (const rpc of tableServices.flatMap(rpcsOf)) this.#serve(rpc.path, 'serverStream', this.#unary.handlerOf(rpc));
    this.#serve('/grpc.health.v1.Health/Check', 'serverStream', this.#health.check);
    this.#serve('/grpc.health.v1.Health/Watch', 'serverStream', this.#health.watch);
    for (const version of ['v1', 'v1alpha']) {
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      this.#serve(path, 'bidi', reflection.handlerOf(version));
    }
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Messages cross grpc-js as bytes: what is wrong with one is ours to say. The first handler of a path stays. */
  #serve(path: string, type: 'bidi' | 'serverStream', handler: Handler): void {
    this.#server.register(path, handler, asBuffer, (bytes: Buffer) => bytes, type);
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
    this.#injector.drain(deadlineMs);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
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

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
