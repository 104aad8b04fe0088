import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { PubSub } from '../../pubsub/pubsub.ts';
import type { StoreHealth } from '../../store/store.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { ByteBudget } from './byte-budget.ts';
import { Exchanges } from './exchanges.ts';
import { openHttpApp } from './http-app.ts';
import { type HttpLimits, httpLimits } from './http-limits.ts';
import { LongPolls } from './long-polls.ts';
import { openApiOf } from './openapi.ts';
import { serveOperations } from './operations.ts';
import { pubSubMethods } from './pubsub-methods.ts';
import { Readiness } from './readiness.ts';
import { RequestBodies } from './request-bodies.ts';
import { serveRest } from './rest.ts';

export interface HttpServerOptions {
  readonly pubsub: PubSub;
  /** `store.health`: makes a real write; asked at most once a second. */
  readonly health: () => Promise<StoreHealth>;
  /** What /metrics shows. */
  readonly registry: Registry;
  readonly logger: Logger;
  /** Unix epoch, ms. */
  readonly clock: () => number;
  /** For /openapi.json. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits>;
}

/** The HTTP port: the REST API, and what people and machines that run Headwater ask it. Does not listen yet. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  return new HttpServer(options);
}

export class HttpServer {
  /** For further routes, before it listens. */
  readonly app: FastifyInstance;
  /** For WebSocket upgrades; or, after `app.ready()`, to be handed connections that something else accepted. */
  readonly server: Server;
  readonly #bodies: RequestBodies;
  readonly #replies: ByteBudget;
  readonly #longPolls: LongPolls;
  readonly #exchanges = new Exchanges();
  readonly #readiness: Readiness;
  #connectionsRefused = 0;
  #closing = false;

  constructor(options: HttpServerOptions) {
    const limits = httpLimits(options.limits);
    this.#bodies = new RequestBodies(limits);
    this.#replies = new ByteBudget(limits.repliesBytesMax);
    this.#longPolls = new LongPolls(limits);
    this.#readiness = new Readiness(options.health, options.clock);
    const { app, server } = openHttpApp(limits, options.logger);
    this.app = app;
    this.server = server;
    server.on('drop', () => this.#connectionsRefused++);
    this.#serve(options, limits);
  }

  #serve({ pubsub, logger, registry, version }: HttpServerOptions, limits: HttpLimits): void {
    const app = this.app;
    const methods = pubSubMethods({ pubsub, logger, limits, longPolls: this.#longPolls, replies: this.#replies });
    app.addHook('onRequest', async (_request, reply) => {
      if (this.#closing) reply.header('connection', 'close');
    });
    serveRest(app, { methods, bodies: this.#bodies, exchanges: this.#exchanges });
    const closing = () => this.#closing;
    serveOperations(app, { registry, readiness: this.#readiness, openApi: openApiOf(methods, version), closing });
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
      connectionsRefused: this.#connectionsRefused,
      bodiesRefused: this.#bodies.refused,
      bodyBytesHeld: this.#bodies.bytesHeld,
      replyBytesHeld: this.#replies.held,
      pullsWaiting: this.#longPolls.waiting,
      pullsRefused: this.#longPolls.refused,
      readinessWrites: this.#readiness.writes,
    };
  }

  /**
   * Accepts nothing more, answers the pulls that wait, lets the other requests finish, and after `deadlineMs` cuts the
   * connections of those that have not. Connections that were upgraded are not its own any more.
   */
  async close(deadlineMs: number): Promise<void> {
    this.#closing = true;
    this.server.close();
    this.#longPolls.close();
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
