import type { IncomingMessage, ServerResponse } from 'node:http';

type Act = () => void;

/**
 * One request and its answer, as far as the client's end of it matters: `open` until the last byte of the answer was
 * handed to the operating system (`delivered`) or the connection broke before that (`lost`). Node emits `finish` for a
 * response in both cases; only the socket tells which it was.
 */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  #state: 'open' | 'delivered' | 'lost' = 'open';
  #onLost: Act[] = [];
  #onEnd: Act[] = [];

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    response.once('finish', () => this.#end(request.socket.destroyed ? 'lost' : 'delivered'));
    response.once('close', () => this.#end('lost'));
    if (response.closed) this.#end('lost');
  }

  /** Calls `act` when the client will not get the answer; at once when that is so already. */
  onLost(act: Act): void {
    if (this.#state === 'lost') act();
    else if (this.#state === 'open') this.#onLost.push(act);
  }

  /** Calls `act` when it is over, however it ended; at once when it is. */
  onEnd(act: Act): void {
    if (this.#state === 'open') this.#onEnd.push(act);
    else act();
  }

  #end(state: 'delivered' | 'lost'): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    const acts = state === 'lost' ? [...this.#onLost, ...this.#onEnd] : this.#onEnd;
    this.#onLost = [];
    this.#onEnd = [];
    for (const act of acts) act();
  }
}
