import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { createSecureContext, rootCertificates } from 'node:tls';
import type { Schedule } from '../schedule.ts';
import { type Egress, hostOf } from './egress.ts';
import type { PushOutcome, PushRequest, PushSender } from './push-sender.ts';

export interface HttpPushOptions {
  readonly egress: Egress;
  readonly schedule: Schedule;
  /** How names become addresses; absent: as the system does it. */
  readonly resolve?: Resolve;
  /** Further certificate authorities that endpoints are trusted by, PEM. */
  readonly ca?: string;
  readonly limits?: Partial<HttpPushLimits>;
}

export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;

export interface HttpPushLimits {
  /** To one endpoint; past it requests wait, and their time runs. */
  readonly connectionsPerEndpointMax: number;
  readonly idleConnectionsPerEndpointMax: number;
  /** A connection that nobody uses is closed after this long. */
  readonly idleConnectionMs: number;
  readonly responseHeaderBytesMax: number;
  /** What an endpoint says beyond its status is not looked at; more of it than this cuts the connection. */
  readonly responseBodyBytesMax: number;
}

const defaultLimits: HttpPushLimits = {
  connectionsPerEndpointMax: 100,
  idleConnectionsPerEndpointMax: 16,
  idleConnectionMs: 15_000,
  responseHeaderBytesMax: 16 * 1024,
  responseBodyBytesMax: 64 * 1024,
};

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

interface Limit {
  /** Aborted with the outcome. */
  readonly reached: AbortSignal;
  /** It does not matter any more. */
  lift(): void;
}

type Posted = PushOutcome | 'stale connection';

/** The egress policy forbids every address that a name stands for. */
class EgressDenied extends Error {
  override readonly name = 'EgressDenied';
}

/**
 * Pushes over HTTP/1.1, on connections that are used again. Certificates are verified, redirects are not followed, and
 * each connection goes to an address that the egress policy has seen: it judges what the resolver returned, and the
 * socket connects to nothing else.
 */
export class HttpPushSender implements PushSender {
  readonly #egress: Egress;
  readonly #schedule: Schedule;
  readonly #resolve: Resolve;
  readonly #limits: HttpPushLimits;
  readonly #kept: Agents;
  /** For a second try when a kept connection turned out to be closed by the other end. */
  readonly #fresh: Agents;

  constructor({ egress, schedule, resolve = systemLookup, ca, limits }: HttpPushOptions) {
    this.#egress = egress;
    this.#schedule = schedule;
    this.#resolve = resolve;
    this.#limits = { ...defaultLimits, ...limits };
    const { connectionsPerEndpointMax, idleConnectionsPerEndpointMax, idleConnectionMs } = this.#limits;
    // A context of its own and not `ca`: Node would use the text of all certificates as a key, with every request.
    const secureContext = createSecureContext(ca === undefined ? {} : { ca: [...rootCertificates, ca] });
    const shared = { lookup: this.#lookup, maxSockets: connectionsPerEndpointMax };
    const kept = {
      ...shared,
      keepAlive: true,
      maxFreeSockets: idleConnectionsPerEndpointMax,
      timeout: idleConnectionMs,
    };
    this.#kept = { http: new HttpAgent(kept), https: new HttpsAgent({ ...kept, secureContext }) };
    this.#fresh = { http: new HttpAgent(shared), https: new HttpsAgent({ ...shared, secureContext }) };
  }

  async send(request: PushRequest, signal: AbortSignal): Promise<PushOutcome> {
    const url = new URL(request.endpoint);
    const host = hostOf(url);
    if (isIP(host) !== 0 && !this.#egress.allows(host, host)) return denied(host); // an address is not looked up
    const limit = this.#limit(request.timeoutMs, signal);
    let outcome = await this.#post(url, request, limit, this.#kept);
    if (outcome === 'stale connection') outcome = await this.#post(url, request, limit, this.#fresh);
    return outcome === 'stale connection' ? unreachable('the connection was reset') : outcome;
  }

  close(): void {
    for (const { http, https } of [this.#kept, this.#fresh]) {
      http.destroy();
      https.destroy();
    }
  }

  /** What ends a request before its answer: its time, or its caller. */
  #limit(timeoutMs: number, signal: AbortSignal): Limit {
    const reached = new AbortController();
    const callOff = () => reached.abort(cut);
    const cancelTimer = this.#schedule(timeoutMs, () => reached.abort(late(timeoutMs)));
    if (signal.aborted) callOff();
    signal.addEventListener('abort', callOff, { once: true });
    const lift = () => {
      cancelTimer();
      signal.removeEventListener('abort', callOff);
    };
    return { reached: reached.signal, lift };
  }

  #post(url: URL, request: PushRequest, { reached, lift }: Limit, agents: Agents): Promise<Posted> {
    return new Promise((resolve) => {
      const client = reached.aborted ? undefined : this.#open(url, request, agents);
      if (!client) {
        lift();
        return resolve(reached.aborted ? reached.reason : unwritable);
      }
      const giveUp = () => {
        resolve(reached.reason);
        client.destroy();
      };
      reached.addEventListener('abort', giveUp, { once: true });
      let failure: Posted = unreachable('the connection was closed before an answer');
      // 102 counts as a success (cloud.google.com/pubsub/docs/push#receive_push); what follows it changes nothing.
      client.on('information', ({ statusCode }) => statusCode === 102 && resolve(outcomeOf(statusCode)));
      client.on('response', (response) => {
        resolve(outcomeOf(response.statusCode!));
        this.#drain(response);
      });
      client.on('error', (error) => {
        failure = failureOf(error, client);
      });
      client.on('close', () => {
        reached.removeEventListener('abort', giveUp);
        if (failure !== 'stale connection') lift(); // else there is a second try, within the same limit
        resolve(failure);
      });
      client.end(request.body);
    });
  }

  /** @returns undefined when Node refuses to write it */
  #open(url: URL, { headers, body }: PushRequest, agents: Agents): ClientRequest | undefined {
    const options = {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      maxHeaderSize: this.#limits.responseHeaderBytesMax,
    };
    try {
      return url.protocol === 'https:'
        ? requestHttps(url, { ...options, agent: agents.https })
        : requestHttp(url, { ...options, agent: agents.http });
    } catch {
      return undefined;
    }
  }

  /** The connection can be used again once the body is read; the timeout of the request bounds how long that takes. */
  #drain(response: IncomingMessage): void {
    let bytes = 0;
    response.on('error', () => undefined); // the outcome is decided
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#limits.responseBodyBytesMax) response.destroy();
    });
  }

  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const allowed = found.filter(({ address }) => this.#egress.allows(hostname, address));
      const [first] = allowed;
      if (!first) return callback(new EgressDenied(`${hostname} is ${found[0]?.address}`), []);
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

const unwritable: PushOutcome = { class: 'invalid', detail: 'the message cannot be written as an HTTP request' };
const cut: PushOutcome = { class: 'cut', detail: 'called off by this server' };

function late(timeoutMs: number): PushOutcome {
  return { class: 'deadline_exceeded', detail: `no answer within the ack deadline of ${timeoutMs / 1000} s` };
}

function unreachable(detail: string): PushOutcome {
  return { class: 'unreachable', detail };
}

function denied(target: string): PushOutcome {
  return { class: 'denied', detail: `${target}, which is not a public address and not an allowed push target` };
}

const successes: ReadonlySet<number> = new Set([102, 200, 201, 202, 204]);

function outcomeOf(status: number): PushOutcome {
  const detail = `HTTP ${status}`;
  if (successes.has(status)) return { class: 'ack', detail };
  if (status >= 400 && status < 500) return { class: 'remote_server_4xx', detail };
  return { class: status >= 500 && status < 600 ? 'remote_server_5xx' : 'invalid', detail };
}

/** A server may close an idle connection at the moment that we use it again: that says nothing about the message. */
function failureOf(error: NodeJS.ErrnoException, client: ClientRequest): Posted {
  if (error instanceof EgressDenied) return denied(error.message);
  if (client.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) return 'stale connection';
  if (error.code?.startsWith('HPE_')) return { class: 'invalid', detail: `not HTTP: ${error.message}` };
  return unreachable(error.message === '' ? String(error.code) : error.message);
}
