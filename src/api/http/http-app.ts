import type { Server } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { errorReply, isServerFault, jsonType } from './error-reply.ts';
import type { HttpLimits } from './http-limits.ts';
import { createNodeServer } from './node-server.ts';

/** Fastify over our own server, with every error in Google's envelope, Fastify's own included. */
export function openHttpApp(limits: HttpLimits, logger: Logger): { app: FastifyInstance; server: Server } {
  const answer = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    if (isServerFault(error)) logFault(logger, error, request);
    const { status, body } = errorReply(error, request.id);
    reply.code(status).type(jsonType).send(JSON.stringify(body));
  };
  const app = fastify({
    serverFactory: (listener) => createNodeServer(limits, listener),
    routerOptions: { maxParamLength: limits.headerBytesMax },
    return503OnClosing: false, // requests that come in while others finish are answered like those
    frameworkErrors: answer,
  });
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) => answer(nothingAt(request.url), request, reply));
  return { app, server: app.server };
}

/** Without the query, which may hold credentials. */
function logFault(logger: Logger, error: unknown, { id, method, url }: FastifyRequest): void {
  logger.error({ err: error, requestId: id, method, path: pathOf(url) }, 'request failed');
}

function nothingAt(url: string): PubSubError {
  return new PubSubError('NOT_FOUND', `There is nothing at ${quote(pathOf(url))}; see /openapi.json.`);
}

function pathOf(url: string): string {
  return url.split('?', 1)[0]!;
}
