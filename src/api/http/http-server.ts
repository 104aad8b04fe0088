import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../../telemetry/logger.ts';
import type { Exposition } from '../../telemetry/metrics.ts';
import { Exchanges } from '../methods/exchanges.ts';
import type { Methods } from '../methods/methods.ts';
import { openHttpApp } from './http-app.ts';
import type { HttpLimits } from './http-limits.ts';
import { openApiOf } from './openapi.ts';
import { serveOperations } from './operations.ts';
import type { Readiness } from './readiness.ts';
import { RequestBodies } from './request-bodies.ts';
import { serveRest } from './rest.ts';

export interface HttpServerOptions {
  readonly methods: Methods;
  readonly readiness: Readiness;
  /** What /metrics shows. */
  readonly registry: Exposition;
  readonly logger: Logger;
  /** For /openapi.json. */
  readonly version: string;
  readonly limits: HttpLimits;
}

/** HTTP/1.1: the REST API, and what people and machines that run Headwater ask it. Listens only when told to. */
export class HttpServer {
  /** For further routes, before it listens. */
  readonly app: FastifyInstance;
  /** For WebSocket upgrades, and for what else takes connections of this port. */
  readonly server: Server;
  readonly #bodies: RequestBodies;
  readonly #exchanges = new Exchanges();
  readonly #readiness: Readiness;
  #closing = false;

  constructor(options: HttpServerOptions) {
    const { limits } = options;
    this.#bodies = new RequestBodies(limits);
    this.#readiness = options.readiness;
    const { app, server } = openHttpApp(limits, options.logger);
    this.app = app;
    this.server = server;
    this.#serve(options);
  }

  #serve({ methods, registry, version }: HttpServerOptions): void {
    const app = this.app;
    app.addHook('onRequest', async (_request, reply) => {
      if (this.#closing) reply.header('connection', 'close');
    });
    serveRest(app, { table: methods.table, bodies: this.#bodies, exchanges: this.#exchanges });
    const closing = () => this.#closing;
    serveOperations(app, { registry, readiness: this.#readiness, openApi: openApiOf(methods.rows, version), closing });
  }

  /** @returns the URL. @throws Error the address cannot be had: what to do. */
  async listen({ host, port }: { readonly host: string; readonly port: number }): Promise<string> {
    await this.app.ready();
    this.server.listen({ host, port });
    try {
      await once(this.server, 'listening');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const reason = code === 'EADDRINUSE' ? 'the port is taken; choose another with --http-port' : message;
      throw new Error(`Cannot serve HTTP on ${host}:${port}: ${reason}.`, { cause: error });
    }
    const { port: bound } = this.server.address() as AddressInfo;
    return `http://${isIPv6(host) ? `[${host}]` : host}:${bound}`;
  }

  counters() {
    return {
      /** Requests that are being answered. */
      requestsOpen: this.#exchanges.open,
      /** Answered REST requests, by `{method id} {HTTP status}`. */
      requestsByOutcome: this.#exchanges.countByOutcome,
      bodiesRefused: this.#bodies.refused,
      bodyBytesHeld: this.#bodies.bytesHeld,
      readinessWrites: this.#readiness.writes,
    };
  }

  /**
   * Accepts nothing more, lets the requests that are being answered finish, and after `deadlineMs` cuts the connections
   * of those that have not. Connections that were upgraded are not its own any more.
   */
  async close(deadlineMs: number): Promise<void> {
    this.#closing = true;
    this.server.close();
    await within(this.#exchanges.idle(), deadlineMs);
    this.server.closeAllConnections();
    await this.#exchanges.idle(); // each ends with its connection
    await this.app.close();
  }
}

/** Waits for `done`, but not longer. */
async function within(done: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  await Promise.race([done, deadline]);
  clearTimeout(timer);
}
