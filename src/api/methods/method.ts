import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import { type JsonField, type JsonFields, type JsonObject, object } from '../json/json-field.ts';
import type { Exchange } from './exchange.ts';

type HttpVerb = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** What a method is called with, read and checked for its structure. */
interface Arguments<Query, Body> {
  /** The resource in the path, or the parent of a collection. */
  readonly name: string;
  readonly query: Query;
  readonly body: Body;
}

interface Call<Query, Body> extends Arguments<Query, Body> {
  readonly exchange: Exchange;
}

interface MethodDefinition<Query extends JsonFields, Body, Reply, Request> {
  /** Its id in Google's REST API, such as `pubsub.projects.topics.publish`. */
  readonly id: string;
  readonly verb: HttpVerb;
  // Under /v1/, in the form of `ResourcePath.shape`: `projects/*/topics/*:publish`
  readonly shape: string;
  readonly summary: string;
  /** A gRPC request, which has no path, may leave the name out. */
  readonly nameOptional?: boolean;
  readonly query?: Query;
  /** Absent: whatever body comes with the request is not looked at. */
  readonly body?: JsonField<Body>;
  handle(call: Call<JsonObject<Query>, Body>): Promise<Reply>;
  /** The reply as proto3 JSON; absent: it is that already. */
  toJson?(reply: Reply): object;
  /**
   * For methods that move messages: how a decoded gRPC request reads, and the reply as protobuf.js encodes it. Without
   * it gRPC goes by way of proto3 JSON, which costs microseconds and can never differ from REST.
   */
  readonly proto?: {
    read(request: Request): { readonly name: string; readonly body: Body };
    write(reply: Reply): object;
  };
}

/** A row of the table that both transports serve and that /openapi.json is written from. */
export interface Method {
  readonly id: string;
  readonly verb: HttpVerb;
  readonly shape: string;
  readonly summary: string;
  readonly nameOptional: boolean;
  readonly query: JsonFields;
  readonly body: JsonField<unknown> | undefined;
  /** @param call what came with the request, as JSON not yet read. @returns JSON. @throws PubSubError */
  run(call: Call<unknown, unknown>): Promise<object>;
  /** @param request a decoded protobuf message. @returns one to be encoded. @throws PubSubError */
  readonly runProto: ((request: unknown, exchange: Exchange) => Promise<object>) | undefined;
}

/** Ties the types of request and reply to the handler, and forgets them. */
export function method<Query extends JsonFields, Body = undefined, Reply extends object = object, Request = never>(
  definition: MethodDefinition<Query, Body, Reply, Request>,
): Method {
  const { id, verb, shape, summary, nameOptional = false, body, proto } = definition;
  const query = object(definition.query ?? ({} as Query));
  return {
    ...{ id, verb, shape, summary, nameOptional, body },
    query: definition.query ?? {},
    async run({ name, exchange, ...given }) {
      const call = {
        ...{ name, exchange },
        query: query.read(given.query, ''),
        body: body === undefined ? (undefined as Body) : body.read(given.body, ''),
      };
      const reply = await definition.handle(call);
      return definition.toJson?.(reply) ?? reply;
    },
    runProto:
      proto &&
      (async (request, exchange) => {
        const call = { ...proto.read(request as Request), query: query.read({}, ''), exchange };
        return proto.write(await definition.handle(call));
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

  /** The method at a path, if it is served. */
  known(verb: string, shape: string): Method | undefined {
    return this.#byShape.get(shape)?.get(verb);
  }
}
