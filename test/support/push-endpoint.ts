import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** A request as the endpoint got it. */
export interface PushedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: the JSON is what the tests are about
  readonly json: any;
  /** `data` of a wrapped message. */
  readonly text: string;
  /** By the clock of the test process. */
  readonly atMs: number;
}

/** @returns the status to answer with, or undefined: it answers by itself, or never. */
type Answer = (request: PushedRequest, response: ServerResponse) => number | undefined | Promise<number | undefined>;

/** A real HTTP server that takes pushes on 127.0.0.1 and remembers them. */
export class PushEndpoint {
  readonly requests: PushedRequest[] = [];
  answer: Answer;
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #arrived: (() => void)[] = [];

  static async start(answer: Answer = () => 204, tls?: { key: string; cert: string }): Promise<PushEndpoint> {
    const endpoint = new PushEndpoint(answer, tls);
    await new Promise<void>((listening) => endpoint.#server.listen(0, '127.0.0.1', listening));
    return endpoint;
  }

  private constructor(answer: Answer, tls?: { key: string; cert: string }) {
    this.answer = answer;
    this.#server = tls ? createHttpsServer(tls) : createHttpServer();
    this.#server.on('connection', (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('request', async (request, response) => {
      const { method, url, headers } = request;
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of request) chunks.push(chunk);
      } catch {
        return; // cut while it was sent
      }
      const body = Buffer.concat(chunks);
      const json = headers['content-type'] === 'application/json' ? JSON.parse(body.toString()) : undefined;
      const text = Buffer.from(json?.message?.data ?? '', 'base64').toString();
      const pushed = { method: method!, path: url!, headers, body, json, text, atMs: Date.now() };
      this.requests.push(pushed);
      for (const wake of this.#arrived.splice(0)) wake();
      const status = await this.answer(pushed, response);
      if (status !== undefined) response.writeHead(status).end();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = '/push', scheme = 'http', host = '127.0.0.1'): string {
    return `${scheme}://${host}:${this.port}${path}`;
  }

  get texts(): string[] {
    return this.requests.map(({ text }) => text);
  }

  /** Resolves once `count` requests have come, whatever became of them. */
  async received(count: number): Promise<readonly PushedRequest[]> {
    while (this.requests.length < count) await new Promise<void>((arrived) => this.#arrived.push(arrived));
    return this.requests;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => this.#server.close(closed));
  }
}
