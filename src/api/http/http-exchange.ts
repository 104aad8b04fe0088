import type { IncomingMessage, ServerResponse } from 'node:http';
import { Exchange } from '../methods/exchange.ts';

/** An exchange over HTTP/1.1. Node emits `finish` for a broken connection too; only the socket tells which it was. */
export class HttpExchange extends Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    super();
    this.request = request;
    this.response = response;
    response.once('finish', () => this.end(request.socket.destroyed ? 'lost' : 'delivered'));
    response.once('close', () => this.end('lost'));
    if (response.closed) this.end('lost');
  }
}
