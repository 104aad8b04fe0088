import { type ServerDuplexStream, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { ErrorCode } from '../../domain/errors.ts';
import { PubSubError } from '../../domain/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { Exchange } from '../methods/exchange.ts';
import type { Exchanges } from '../methods/exchanges.ts';
import { statusOf } from './grpc-status.ts';

type AnyCall = ServerWritableStream<Buffer, object> | ServerDuplexStream<Buffer, object>;

/** Follows every call from its beginning to its end: what became of it is counted, and a bug is logged. */
export class Calls {
  readonly #exchanges: Exchanges;
  readonly #logger: Logger;
  #begun = 0;

  constructor(exchanges: Exchanges, logger: Logger) {
    this.#exchanges = exchanges;
    this.#logger = logger;
  }

  begin(name: string, call: AnyCall): OpenCall {
    const open = new OpenCall(name, `grpc-${++this.#begun}`, call, this.#logger);
    this.#exchanges.begin(open.exchange, () => `${name} ${open.code}`);
    return open;
  }
}

/** One call, from the server's end. */
export class OpenCall {
  readonly exchange = new Exchange();
  /** How it ended. */
  code: ErrorCode | 'OK' = 'CANCELLED';
  readonly #name: string;
  readonly #id: string;
  readonly #call: AnyCall;
  readonly #logger: Logger;

  constructor(name: string, id: string, call: AnyCall, logger: Logger) {
    this.#name = name;
    this.#id = id;
    this.#call = call;
    this.#logger = logger;
    call.on('cancelled', () => this.exchange.end('lost')); // grpc-js says so after every call: only the first end counts
  }

  /** The last message of a call that went well. */
  reply(message: object): void {
    if (this.#call.cancelled) return;
    this.#call.write(message, (error: unknown) => {
      if (!error) this.#ended('OK');
    });
    this.#call.end();
  }

  /** The end of a call that went well and has said all. */
  end(): void {
    this.#ended('OK');
    this.#call.end();
  }

  /** The end of a call that went wrong. */
  fail(error: unknown): void {
    if (!(error instanceof PubSubError)) {
      this.#logger.error({ err: error, requestId: this.#id, method: this.#name }, 'call failed');
    }
    const ending = statusOf(error, this.#id);
    this.#ended(status[ending.code] as ErrorCode);
    this.#call.emit('error', ending); // how grpc-js is told a status
  }

  #ended(code: ErrorCode | 'OK'): void {
    this.code = code;
    this.exchange.end('delivered');
  }
}
