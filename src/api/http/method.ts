import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import { type JsonField, type JsonFields, type JsonObject, object } from '../json/json-field.ts';
import type { Exchange } from './exchange.ts';

type HttpVerb = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** One call of a method, read and checked for its structure. */
interface Call<Query, Body> {
  /** The resource in the path, or the parent of a collection. */
  readonly name: string;
  readonly query: Query;
  readonly body: Body;
  readonly exchange: Exchange;
}

interface MethodDefinition<Query extends JsonFields, Body> {
  /** Its id in Google's API, such as `pubsub.projects.topics.publish`. */
  readonly id: string;
  readonly verb: HttpVerb;
  // Under /v1/, in the form of `ResourcePath.shape`: `projects/*/topics/*:publish`
  readonly shape: string;
  readonly summary: string;
  readonly query?: Query;
  /** Absent: whatever body comes with the request is not looked at. */
  readonly body?: JsonField<Body>;
  /** @returns what to answer, as JSON. */
  handle(call: Call<JsonObject<Query>, Body>): Promise<object>;
}

/** A row of the table that routes requests and that /openapi.json is written from. */
export interface Method {
  readonly id: string;
  readonly verb: HttpVerb;
  readonly shape: string;
  readonly summary: string;
  readonly query: JsonFields;
  readonly body: JsonField<unknown> | undefined;
  /** @param call what came with the request, not yet read. @throws PubSubError */
  run(call: Call<unknown, unknown>): Promise<object>;
}

/** Ties the types of query and body to the handler, and forgets them. */
export function method<Query extends JsonFields, Body = undefined>(definition: MethodDefinition<Query, Body>): Method {
  const { id, verb, shape, summary, body } = definition;
  const query = object(definition.query ?? ({} as Query));
  return {
    ...{ id, verb, shape, summary, body },
    query: definition.query ?? {},
    run: (call) =>
      definition.handle({
        name: call.name,
        query: query.read(call.query, ''),
        body: body === undefined ? (undefined as Body) : body.read(call.body, ''),
        exchange: call.exchange,
      }),
  };
}

/** Finds the method for a request. */
export class MethodTable {
  readonly #byShape = new Map<string, Map<string, Method>>();

  constructor(methods: readonly Method[]) {
    for (const each of methods) {
      const byVerb = this.#byShape.get(each.shape) ?? new Map<string, Method>();
      this.#byShape.set(each.shape, byVerb.set(each.verb, each));
    }
  }

  /** @throws PubSubError NOT_FOUND no such path, or none with this verb. */
  find(verb: string, shape: string): Method {
    const byVerb = this.#byShape.get(shape);
    const found = byVerb?.get(verb);
    if (found) return found;
    if (!byVerb)
      throw new PubSubError('NOT_FOUND', `There is no method at ${quote(`/v1/${shape}`)}; see /openapi.json.`);
    const verbs = [...byVerb.keys()].join(', ');
    throw new PubSubError('NOT_FOUND', `${verb} is not a method of /v1/${shape}; it has ${verbs}.`);
  }
}
