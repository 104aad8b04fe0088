import type { FastifyInstance } from 'fastify';
import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import type { Exchanges } from '../methods/exchanges.ts';
import type { MethodTable } from '../methods/method.ts';
import { jsonType } from './error-reply.ts';
import { HttpExchange } from './http-exchange.ts';
import { parseQuery } from './query.ts';
import type { RequestBodies } from './request-bodies.ts';
import { parseResourcePath } from './resource-path.ts';
import { refuseOtherOrigins } from './same-origin.ts';

interface RestDeps {
  readonly table: MethodTable;
  readonly bodies: RequestBodies;
  readonly exchanges: Exchanges;
}

/**
 * Serves a table of methods under /v1. Fastify's own routing cannot: `{topic}:publish` clashes with its `:parameters`,
 * and its wildcard hands a path out decoded, when an encoded slash can no longer be told from a real one; so one wildcard
 * route takes the raw path apart itself. Bodies are read as JSON whatever their content type says, as people call such
 * APIs with curl.
 */
export function serveRest(app: FastifyInstance, { table, bodies, exchanges }: RestDeps): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null)); // RequestBodies reads it, if anybody wants it
  app.all('/v1/*', async (request, reply) => {
    let methodId = 'unknown';
    const exchange = new HttpExchange(request.raw, reply.raw);
    exchanges.begin(exchange, () => `${methodId} ${reply.raw.statusCode}`);
    refuseOtherOrigins(request.headers);
    const { path, query } = split(request.raw.url!);
    const { shape, name } = parseResourcePath(path);
    const method = table.find(request.method, shape);
    methodId = method.id;
    const body = method.body ? await bodies.readJson(exchange) : undefined;
    const answer = await method.run({ name, query: parseQuery(query), body, exchange });
    return reply.type(jsonType).send(JSON.stringify(answer));
  });
}

/** The path behind /v1/, not decoded, and the query. */
function split(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  if (!path.startsWith(prefix))
    throw new PubSubError('NOT_FOUND', `There is nothing at ${quote(path)}; see /openapi.json.`);
  return { path: path.slice(prefix.length), query: mark < 0 ? '' : url.slice(mark + 1) };
}

const prefix = '/v1/';
