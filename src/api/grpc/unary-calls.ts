import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Type } from 'protobufjs';
import { invalidArgument, PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import { ByteBudget } from '../methods/byte-budget.ts';
import type { Exchange } from '../methods/exchange.ts';
import type { Method, MethodTable } from '../methods/method.ts';
import type { Calls } from './calls.ts';
import type { GrpcLimits } from './grpc-limits.ts';
import type { RestBinding, Rpc } from './protocol.ts';

/**
 * grpc-js tells the handler of a unary call nothing of whether its reply was written. On the wire a unary call is a
 * stream of one message, so every method is served as that, and knows.
 */
export type UnaryCall = ServerWritableStream<Buffer, object>;

interface UnaryCallsDeps {
  readonly table: MethodTable;
  readonly calls: Calls;
  readonly limits: GrpcLimits;
}

/** Serves the methods of the one table: the option `google.api.http` of each rpc says which row it is. */
export class UnaryCalls {
  readonly #table: MethodTable;
  readonly #calls: Calls;
  readonly #limits: GrpcLimits;
  readonly #budget: ByteBudget;
  #refused = 0;

  constructor({ table, calls, limits }: UnaryCallsDeps) {
    this.#table = table;
    this.#calls = calls;
    this.#limits = limits;
    this.#budget = new ByteBudget(limits.requestsBytesMax);
  }

  /** Bytes of the requests that are being answered. */
  get bytesHeld(): number {
    return this.#budget.held;
  }

  /** Requests turned away for their size or for want of room. */
  get refused(): number {
    return this.#refused;
  }

  handlerOf(rpc: Rpc): (call: UnaryCall) => void {
    const method = rpc.rest && this.#table.known(rpc.rest.verb, rpc.rest.shape);
    const answer = method ? answerBy(method, rpc) : () => Promise.reject(notServed(rpc));
    return (call) => {
      const open = this.#calls.begin(`${rpc.service}/${rpc.name}`, call);
      this.#admitted(call.request, open.exchange)
        .then(() => answer(call.request, open.exchange))
        .then(
          (reply) => open.reply(reply),
          (error: unknown) => open.fail(error),
        );
    };
  }

  /** @throws INVALID_ARGUMENT too large; RESOURCE_EXHAUSTED no room */
  async #admitted({ length }: Buffer, exchange: Exchange): Promise<void> {
    if (length > this.#limits.requestBytesMax) throw this.#count(tooLarge(length, this.#limits.requestBytesMax));
    if (!this.#budget.take(length)) throw this.#count(noRoom());
    exchange.onEnd(() => this.#budget.give(length));
  }

  #count(refusal: PubSubError): PubSubError {
    this.#refused++;
    return refusal;
  }
}

type Answer = (request: Buffer, exchange: Exchange) => Promise<object>;

function answerBy(method: Method, { request: requestType, reply: replyType, rest }: Rpc): Answer {
  const { runProto, run } = method;
  return async (bytes, exchange) => {
    const request = decode(requestType, bytes);
    const name = checkedName(request, rest!, method);
    if (runProto) return runProto(request, exchange);
    const given = restOf(jsonOf(requestType, request), rest!, method);
    return replyType.fromJson(await run({ name, ...given, exchange }));
  };
}

type Json = Readonly<Record<string, unknown>>;

/** @throws INVALID_ARGUMENT where REST would not have found a method at such a path */
function checkedName(request: object, { nameField, nameTemplate, namePattern }: RestBinding, { nameOptional }: Method) {
  let named: unknown = request;
  for (const field of nameField) named = (named as Json | null)?.[field];
  const name = String(named ?? '');
  if (namePattern.test(name) || (name === '' && nameOptional)) return name;
  throw invalidArgument(
    `${nameField.join('.')} is ${quote(name)}; it must read ${nameTemplate}, with an id for each *.`,
  );
}

/** The other fields, where REST has them: in the body or, without one, in the query. */
function restOf(request: Json, { nameField }: RestBinding, { body }: Method) {
  const { [nameField[0]!]: _, ...others } = request;
  const fields = nameField.length === 1 ? others : request;
  return { query: body ? {} : fields, body: fields };
}

/** @throws INVALID_ARGUMENT not a message of this type, or text that is not UTF-8 */
export function decode(type: Type, bytes: Buffer): object {
  try {
    return type.decode(bytes);
  } catch (error) {
    throw invalidArgument(`The request is not a ${type.fullName.slice(1)}: ${(error as Error).message}.`);
  }
}

/** @throws INVALID_ARGUMENT a duration, a time or a field mask that nobody can write down */
function jsonOf(type: Type, message: object): Json {
  try {
    return type.toJson(message);
  } catch (error) {
    throw invalidArgument(`The request holds a value that is not allowed: ${(error as Error).message}.`);
  }
}

function notServed({ service, name }: Rpc): PubSubError {
  return new PubSubError('UNIMPLEMENTED', `${service}.${name} is not served; /openapi.json lists what is.`);
}

function tooLarge(bytes: number, bytesMax: number): PubSubError {
  return invalidArgument(
    `The request has ${bytes} bytes; at most ${bytesMax} are allowed: send fewer messages at once.`,
  );
}

function noRoom(): PubSubError {
  return new PubSubError('RESOURCE_EXHAUSTED', 'The server is reading too many large requests; try again in a moment.');
}
