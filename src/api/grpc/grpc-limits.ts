import { minuteMs, secondMs } from '../../domain/duration.ts';

/** What the gRPC side holds at most, and for how long. */
export interface GrpcLimits {
  /** One request. Google refuses more than 10 MB as well; up to twice as much is read, for an answer that says so. */
  readonly requestBytesMax: number;
  /** The requests of all calls that are being answered; past it they are answered RESOURCE_EXHAUSTED. */
  readonly requestsBytesMax: number;
  /** Calls of one connection at a time; its client holds further ones back (HTTP/2 SETTINGS). */
  readonly callsPerConnectionMax: number;
  /** A connection is pinged this often, and closed when no answer comes within the second. */
  readonly pingMs: number;
  readonly pingTimeoutMs: number;
  /** One request on a stream: many thousand ack ids. Google's own limit is half of the default. */
  readonly streamRequestBytesMax: number;
  /** Requests of one stream whose acks are not durable yet; then it is not read from. */
  readonly streamRequestsMax: number;
  /** How often a stream of protocol version 1 gets a sign of life. */
  readonly heartbeatMs: number;
}

export const grpcLimitsDefault: GrpcLimits = {
  requestBytesMax: 10 * 1024 * 1024,
  requestsBytesMax: 256 * 1024 * 1024,
  callsPerConnectionMax: 1000,
  pingMs: minuteMs,
  pingTimeoutMs: 20 * secondMs,
  streamRequestBytesMax: 1024 * 1024,
  streamRequestsMax: 32,
  heartbeatMs: 10 * secondMs,
};
