import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { GrpcLimits } from '../../src/api/grpc/grpc-limits.ts';
import type { HttpLimits } from '../../src/api/http/http-limits.ts';
import { openPort, type Port } from '../../src/api/port.ts';
import { serveOidc } from '../../src/api/push/oidc-routes.ts';
import { type OpenPubSub, openPubSub, type PubSubOptions } from '../../src/pubsub/open-pubsub.ts';
import type { PubSub } from '../../src/pubsub/pubsub.ts';
import type { Schedule } from '../../src/pubsub/schedule.ts';
import type { StreamingPullBounds } from '../../src/pubsub/streaming-pull-bounds.ts';
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
  readonly http: Port;
  readonly pubsub: OpenPubSub;
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
  readonly grpcLimits?: Partial<GrpcLimits>;
  readonly streamLimits?: Partial<StreamingPullBounds>;
  readonly push?: PubSubOptions['push'];
  /** Timers of the core; with a clock of their own. */
  readonly schedule?: Schedule;
}

export async function openApi(options: ApiOptions = {}): Promise<ApiUnderTest> {
  const { clock = Date.now, schedule, limits = {}, grpcLimits = {}, streamLimits = {}, push = {} } = options;
  const directory = makeTempDirectory();
  const store = await openStore({ url: `lmdb:${directory.path}`, clock });
  const log: string[] = [];
  const logger = pino({ level: 'warn' }, lineTo(log));
  const pubsub = await openPubSub({ store, clock, logger, streamLimits, push, ...(schedule && { schedule }) });
  const registry = new Registry();
  const http = await openPort({
    pubsub: options.pubsub?.(pubsub) ?? pubsub,
    health: options.health ?? (() => store.health()),
    ...{ registry, logger, clock, limits, grpcLimits },
    version: '0.0.0-test',
  });
  serveOidc(http.app, pubsub.push);
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
