import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';
import type { Calls, OpenCall } from './calls.ts';
import { messageType } from './protocol.ts';
import { decode, type UnaryCall } from './unary-calls.ts';

const requestType = messageType('grpc.health.v1.HealthCheckRequest');

/** grpc.health.v1 HealthCheckResponse.ServingStatus */
const [serving, notServing, serviceUnknown] = [1, 2, 3];

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
  readonly #watchers = new Map<OpenCall, UnaryCall>();
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
    this.#watchers.set(open, call);
    open.exchange.onEnd(() => this.#watchers.delete(open));
    this.#watched(call.request).then(
      (reply) => {
        if (this.#watchers.has(open)) call.write(reply);
      },
      (error: unknown) => open.fail(error),
    );
  };

  close(): void {
    this.#closing = true;
    for (const [open, call] of this.#watchers) {
      call.write({ status: notServing });
      open.end();
    }
  }

  async #check(request: Buffer): Promise<object> {
    const service = serviceIn(request);
    if (this.#services.has(service)) return { status: await this.#status() };
    throw new PubSubError('NOT_FOUND', `There is no service ${quote(service)} here; reflection lists those that are.`);
  }

  async #watched(request: Buffer): Promise<object> {
    return { status: this.#services.has(serviceIn(request)) ? await this.#status() : serviceUnknown };
  }

  async #status(): Promise<number> {
    return !this.#closing && (await this.#deps.ready()) ? serving : notServing;
  }
}

function serviceIn(request: Buffer): string {
  return (decode(requestType, request) as { service: string }).service;
}
