import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import type { Calls, OpenCall } from './calls.ts';
import { messageType } from './protocol.ts';
import { decode, type UnaryCall } from './unary-calls.ts';

const requestType = messageType('grpc.health.v1.HealthCheckRequest');
const replyType = messageType('grpc.health.v1.HealthCheckResponse');

type Status = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

interface HealthDeps {
  readonly calls: Calls;
  /** Whether the store takes writes, as /readyz says; asked at most once a second. */
  readonly ready: () => Promise<boolean>;
  /** Full names of the services that may be asked for; the empty name is the server. */
  readonly services: readonly string[];
}

/** grpc.health.v1: what load balancers and orchestrators ask a gRPC server. */
export class HealthService {
  readonly #deps: HealthDeps;
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<OpenCall>();
  readonly #callOf = new WeakMap<OpenCall, UnaryCall>();
  #closing = false;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
    this.#services = new Set(['', ...deps.services]);
  }

  check = (call: UnaryCall): void => {
    const open = this.#deps.calls.begin('grpc.health.v1.Health/Check', call);
    this.#check(call.request).then(
      (reply) => open.reply(reply),
      (error: unknown) => open.fail(error),
    );
  };

  /** Says how it is now and, to those that are still there, when the server closes. */
  watch = (call: UnaryCall): void => {
    const open = this.#deps.calls.begin('grpc.health.v1.Health/Watch', call);
    this.#watchers.add(open);
    this.#callOf.set(open, call);
    open.exchange.onEnd(() => this.#watchers.delete(open));
    this.#watched(call.request).then(
      (reply) => {
        if (!call.cancelled && this.#watchers.has(open)) call.write(reply);
        if (this.#closing) open.end();
      },
      (error: unknown) => open.fail(error),
    );
  };

  close(): void {
    this.#closing = true;
    for (const open of this.#watchers) {
      this.#callOf.get(open)?.write(encode('NOT_SERVING'));
      open.end();
    }
  }

  async #check(request: Buffer): Promise<Uint8Array> {
    const service = serviceIn(request);
    if (this.#services.has(service)) return encode(await this.#status());
    throw new PubSubError('NOT_FOUND', `There is no service ${quote(service)} here; reflection lists those that are.`);
  }

  async #watched(request: Buffer): Promise<Uint8Array> {
    return encode(this.#services.has(serviceIn(request)) ? await this.#status() : 'SERVICE_UNKNOWN');
  }

  async #status(): Promise<Status> {
    return !this.#closing && (await this.#deps.ready()) ? 'SERVING' : 'NOT_SERVING';
  }
}

function serviceIn(request: Buffer): string {
  return (decode(requestType, request) as { service: string }).service;
}

function encode(status: Status): Uint8Array {
  return replyType.encode(replyType.fromJson({ status })).finish();
}
