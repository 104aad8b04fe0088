import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Registry } from 'prom-client';
import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import type { PubSub } from '../../pubsub/pubsub.ts';
import type { StoreHealth } from '../../store/store.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { ByteBudget } from './byte-budget.ts';
import { errorReply, isServerFault, jsonType } from './error-reply.ts';
import { Exchanges } from './exchanges.ts';
import { type HttpLimits, httpLimitsDefault } from './http-limits.ts';
import { LongPolls } from './long-polls.ts';
import { createNodeServer } from './node-server.ts';
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

export interface HttpServer {
  /** For further routes, before it listens. */
  readonly app: FastifyInstance;
  /** For WebSocket upgrades; or, after `app.ready()`, to be handed connections that something else accepted. */
  readonly server: Server;
  /** @returns the URL. @throws Error the address cannot be had: what to do. */
  listen(address: { readonly host: string; readonly port: number }): Promise<string>;
  counters(): HttpCounters;
  /**
   * Accepts nothing more, answers the pulls that wait, lets the other requests finish, and after `deadlineMs` cuts the
   * connections of those that have not. Connections that were upgraded are not its own any more.
   */
  close(deadlineMs: number): Promise<void>;
}

export interface HttpCounters {
  /** Requests that are being answered. */
  readonly requestsOpen: number;
  /** Answered REST requests, by `{method id} {HTTP status}`. */
  readonly requestsByOutcome: ReadonlyMap<string, number>;
  readonly connectionsRefused: number;
  readonly bodiesRefused: number;
  readonly bodyBytesHeld: number;
  readonly replyBytesHeld: number;
  readonly pullsWaiting: number;
  readonly pullsRefused: number;
  readonly readinessWrites: number;
}

/** The HTTP port: the REST API, and what people and machines that run Headwater ask it. Does not listen yet. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...httpLimitsDefault, ...options.limits };
  const bodies = new RequestBodies(limits);
  const replies = new ByteBudget(limits.repliesBytesMax);
  const longPolls = new LongPolls(limits);
  const exchanges = new Exchanges();
  const readiness = new Readiness(options.health, options.clock);
  const methods = pubSubMethods({ ...options, limits, longPolls, replies });
  let closing = false;
  let connectionsRefused = 0;

  const { app, server } = openFastify(limits, options.logger);
  server.on('drop', () => connectionsRefused++);
  app.addHook('onRequest', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
  serveRest(app, { methods, bodies, exchanges });
  const openApi = openApiOf(methods, options.version);
  serveOperations(app, { readiness, registry: options.registry, openApi, closing: () => closing });

  return {
    app,
    server,
    async listen(address) {
      await app.ready();
      return listen(server, address);
    },
    counters: () => ({
      requestsOpen: exchanges.open,
      requestsByOutcome: exchanges.countByOutcome,
      connectionsRefused,
      bodiesRefused: bodies.refused,
      bodyBytesHeld: bodies.bytesHeld,
      replyBytesHeld: replies.held,
      pullsWaiting: longPolls.waiting,
      pullsRefused: longPolls.refused,
      readinessWrites: readiness.writes,
    }),
    async close(deadlineMs) {
      closing = true;
      server.close();
      longPolls.close();
      await within(exchanges.idle(), deadlineMs);
      server.closeAllConnections();
      await app.close();
    },
  };
}

function openFastify(limits: HttpLimits, logger: Logger): { app: FastifyInstance; server: Server } {
  const answerError = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    if (isServerFault(error))
      logger.error({ err: error, requestId: request.id, method: request.method }, 'request failed');
    const { status, body } = errorReply(error, request.id);
    reply.code(status).type(jsonType).send(JSON.stringify(body));
  };
  const app = fastify({
    serverFactory: (listener) => createNodeServer(limits, listener),
    routerOptions: { maxParamLength: limits.headerBytesMax },
    return503OnClosing: false, // requests that come in while others finish are answered like those
    frameworkErrors: answerError,
  });
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const path = quote(request.url.split('?', 1)[0]!);
    answerError(new PubSubError('NOT_FOUND', `There is nothing at ${path}; see /openapi.json.`), request, reply);
  });
  return { app, server: app.server };
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<string> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EADDRINUSE' ? 'the port is taken; choose another with --http-port' : message;
    throw new Error(`Cannot serve HTTP on ${host}:${port}: ${reason}.`, { cause: error });
  }
  const { port: bound } = server.address() as AddressInfo;
  return `http://${isIPv6(host) ? `[${host}]` : host}:${bound}`;
}

/** Waits for `done`, but not longer. */
async function within(done: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    done,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    }),
  ]);
  clearTimeout(timer);
}
