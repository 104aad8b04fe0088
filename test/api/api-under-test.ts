import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { HttpLimits } from '../../src/api/http/http-limits.ts';
import { type HttpServer, openHttpServer } from '../../src/api/http/http-server.ts';
import { openPubSub } from '../../src/pubsub/open-pubsub.ts';
import type { PubSub } from '../../src/pubsub/pubsub.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store, StoreHealth } from '../../src/store/store.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the JSON is what the tests are about
  readonly body: any;
}

/** A real HTTP server on a free port over a real core and a real store, and a client of it. */
export interface ApiUnderTest {
  readonly url: string;
  readonly http: HttpServer;
  readonly pubsub: PubSub;
  readonly store: Store;
  readonly registry: Registry;
  /** Lines of the log so far. */
  readonly log: string[];
  /** @param path behind /v1/; @param body an object as JSON, a text or bytes as they are */
  call(verb: string, path: string, body?: unknown, options?: RequestInit): Promise<Answer>;
  close(): Promise<void>;
}

interface ApiOptions {
  readonly limits?: Partial<HttpLimits>;
  readonly clock?: () => number;
  readonly health?: () => Promise<StoreHealth>;
  readonly pubsub?: (real: PubSub) => PubSub;
}

export async function openApi(options: ApiOptions = {}): Promise<ApiUnderTest> {
  const { clock = Date.now, limits = {} } = options;
  const directory = makeTempDirectory();
  const store = await openStore({ url: `lmdb:${directory.path}`, clock });
  const log: string[] = [];
  const logger = pino({ level: 'warn' }, lineTo(log));
  const pubsub = await openPubSub({ store, clock, logger });
  const registry = new Registry();
  const http = await openHttpServer({
    pubsub: options.pubsub?.(pubsub) ?? pubsub,
    health: options.health ?? (() => store.health()),
    ...{ registry, logger, clock, limits },
    version: '0.0.0-test',
  });
  const url = await http.listen({ host: '127.0.0.1', port: 0 });
  return {
    ...{ url, http, pubsub, store, registry, log },
    call: (verb, path, body, init) => call(`${url}/v1/${path}`, verb, body, init),
    async close() {
      await http.close(0);
      await pubsub.close();
      await store.close();
      directory.remove();
    },
  };
}

async function call(url: string, method: string, body: unknown, init: RequestInit = {}): Promise<Answer> {
  const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const sent = raw ? (body as RequestInit['body']) : JSON.stringify(body);
  const headers = { ...(raw ? {} : { 'content-type': 'application/json' }), ...init.headers };
  const response = await fetch(url, { ...init, method, headers, ...(sent ? { body: sent } : {}) });
  return { status: response.status, body: await response.json() };
}

function lineTo(lines: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
}

/** `data` of a published message. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
