import type { JsonFields, JsonSchema } from '../json/json-field.ts';
import type { Method } from '../methods/method.ts';

/** The table of methods as an OpenAPI 3.1 document. */
export function openApiOf(methods: readonly Method[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const each of methods) {
    const path = `/v1/${pathOf(each.shape)}`;
    paths[path] = { ...paths[path], [each.verb.toLowerCase()]: operationOf(each) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Headwater',
      version,
      description: 'The REST API of Google Cloud Pub/Sub v1, as far as it is served.',
    },
    paths,
    components: { schemas: { Error: errorSchema } },
  };
}

const singular: Readonly<Record<string, string>> = {
  projects: 'project',
  topics: 'topic',
  subscriptions: 'subscription',
  snapshots: 'snapshot',
};

// `projects/*/topics/*:publish` -> `projects/{project}/topics/{topic}:publish`
function pathOf(shape: string): string {
  return shape.replace(/(\w+)\/\*/g, (_, collection: string) => `${collection}/{${singular[collection] ?? 'id'}}`);
}

function operationOf({ id, shape, summary, query, body }: Method): object {
  return {
    operationId: id,
    summary,
    parameters: [...pathParameters(shape), ...queryParameters(query)],
    ...(body && { requestBody: { content: json(body.schema) } }),
    responses: {
      200: { description: 'Done.', content: json({ type: 'object' }) },
      default: { description: 'Not done.', content: json({ $ref: '#/components/schemas/Error' }) },
    },
  };
}

function pathParameters(shape: string): object[] {
  const names = [...pathOf(shape).matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  return names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
}

function queryParameters(query: JsonFields): object[] {
  return Object.entries(query).map(([name, { schema }]) => ({ name, in: 'query', schema }));
}

function json(schema: JsonSchema): object {
  return { 'application/json': { schema } };
}

const errorSchema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: {
        code: { type: 'integer', description: 'The HTTP status.' },
        message: { type: 'string', description: 'What was wrong and what is allowed.' },
        status: { type: 'string', description: 'The name of a google.rpc.Code.' },
        details: { type: 'array', items: { type: 'object' } },
      },
    },
  },
};
