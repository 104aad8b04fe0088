import type { FastifyInstance } from 'fastify';
import type { Exposition } from '../../telemetry/metrics.ts';
import type { Readiness } from './readiness.ts';

interface OperationsDeps {
  readonly readiness: Readiness;
  readonly registry: Exposition;
  readonly openApi: object;
  /** True once the server has begun to close. */
  readonly closing: () => boolean;
}

/** What people and machines that run Headwater ask it. */
export function serveOperations(app: FastifyInstance, { readiness, registry, openApi, closing }: OperationsDeps): void {
  app.get('/', async () => ({
    name: 'Headwater',
    api: '/v1/projects/{project}/topics',
    see: ['/openapi.json', '/healthz', '/readyz', '/metrics'],
  }));

  /** The process answers; that is all. */
  app.get('/healthz', async () => ({ status: 'ok' }));

  /** Whether an acknowledgement can be had right now, and what it is worth. */
  app.get('/readyz', async (_request, reply) => {
    const { writable, durability, level, problem } = await readiness.check();
    if (closing()) return reply.code(503).send({ status: 'closing', problem: 'The server is shutting down.' });
    if (!writable) return reply.code(503).send({ status: 'not writable', problem, level, durability });
    return { status: 'ready', level, durability };
  });

  app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));

  app.get('/openapi.json', async () => openApi);
}
