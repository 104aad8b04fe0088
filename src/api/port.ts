import type { Server } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { PubSub } from '../pubsub/pubsub.ts';
import type { StoreHealth } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Exposition } from '../telemetry/metrics.ts';
import { ConnectionSorter } from './first-bytes.ts';
import { type GrpcLimits, grpcLimitsDefault } from './grpc/grpc-limits.ts';
import { GrpcServer } from './grpc/grpc-server.ts';
import { type HttpLimits, httpLimits } from './http/http-limits.ts';
import { HttpServer } from './http/http-server.ts';
import { Readiness } from './http/readiness.ts';
import { Methods } from './methods/methods.ts';

export interface PortOptions {
  readonly pubsub: PubSub;
  /** `store.health`: makes a real write; asked at most once a second. */
  readonly health: () => Promise<StoreHealth>;
  /** What /metrics shows. */
  readonly registry: Exposition;
  readonly logger: Logger;
  /** Unix epoch, ms. */
  readonly clock: () => number;
  /** For /openapi.json. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits>;
  readonly grpcLimits?: Partial<GrpcLimits>;
}

/** Opens nothing yet: `listen` does. */
export async function openPort(options: PortOptions): Promise<Port> {
  return new Port(options);
}

/** The one port of the API: the REST side and gRPC behind one listener, with one table of methods. */
export class Port {
  /** For further routes, before it listens. */
  readonly app: FastifyInstance;
  /** For WebSocket upgrades. */
  readonly server: Server;
  readonly #methods: Methods;
  readonly #http: HttpServer;
  readonly #grpc: GrpcServer;
  readonly #sorter: ConnectionSorter;

  constructor(options: PortOptions) {
    const limits = httpLimits(options.limits);
    this.#methods = new Methods({ ...options, limits });
    const methods = this.#methods;
    const readiness = new Readiness(options.health, options.clock);
    this.#http = new HttpServer({ ...options, limits, methods, readiness });
    this.#grpc = new GrpcServer({
      ...{ methods, streams: options.pubsub.streams, logger: options.logger },
      ready: async () => (await readiness.check()).writable,
      limits: { ...grpcLimitsDefault, ...options.grpcLimits },
    });
    this.app = this.#http.app;
    this.server = this.#http.server;
    this.#sorter = new ConnectionSorter(this.server, {
      toHttp2: (socket) => this.#grpc.inject(socket),
      firstBytesMs: limits.headersTimeoutMs,
      connectionsMax: limits.connectionsMax,
    });
  }

  /** @returns the URL. @throws Error the address cannot be had: what to do. */
  listen(address: { readonly host: string; readonly port: number }): Promise<string> {
    return this.#http.listen(address);
  }

  counters() {
    return {
      ...this.#methods.counters(),
      ...this.#http.counters(),
      ...this.#grpc.counters(),
      ...this.#sorter.counters(),
    };
  }

  /** Accepts nothing more, ends what waits, lets the rest finish, and after `deadlineMs` cuts what has not. */
  async close(deadlineMs: number): Promise<void> {
    this.#methods.close();
    this.#sorter.close();
    await Promise.all([this.#http.close(deadlineMs), this.#grpc.close(deadlineMs)]);
  }
}
