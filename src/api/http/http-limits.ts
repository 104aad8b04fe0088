import { minuteMs, secondMs } from '../../domain/duration.ts';
import type { MethodLimits } from '../methods/methods.ts';

/** What one HTTP server holds at most, for how long, and of what size. */
export interface HttpLimits extends MethodLimits {
  /** One request's body. A publish request of 10 MB is 13.4 MB in base64, and has names and attributes besides. */
  readonly bodyBytesMax: number;
  /** The bodies of all requests that are being answered; past it requests are answered RESOURCE_EXHAUSTED. */
  readonly bodiesBytesMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  /** Further connections are closed as they arrive. */
  readonly connectionsMax: number;
  /** How long a client may take to send the headers; then the whole request. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How long an idle connection stays open. */
  readonly keepAliveTimeoutMs: number;
  /** A connection that neither sends nor takes a byte for so long is closed; never while a pull may still wait. */
  readonly silenceTimeoutMs: number;
}

export const httpLimitsDefault: HttpLimits = {
  bodyBytesMax: 16 * 1024 * 1024,
  bodiesBytesMax: 256 * 1024 * 1024,
  headerBytesMax: 32 * 1024,
  connectionsMax: 10_000,
  headersTimeoutMs: 30 * secondMs,
  requestTimeoutMs: 2 * minuteMs,
  keepAliveTimeoutMs: 75 * secondMs,
  silenceTimeoutMs: 2 * minuteMs,
  pullWaitMs: 90 * secondMs,
  pullsWaitingMax: 5000,
  pullMessagesMax: 1000, // "Pull requests: 1,000 messages" on the Pub/Sub quotas page
  pullBytesMax: 10_000_000,
  repliesBytesMax: 256 * 1024 * 1024,
};

export function httpLimits(own: Partial<HttpLimits> = {}): HttpLimits {
  const limits = { ...httpLimitsDefault, ...own };
  return { ...limits, silenceTimeoutMs: Math.max(limits.silenceTimeoutMs, limits.pullWaitMs + 30 * secondMs) };
}
