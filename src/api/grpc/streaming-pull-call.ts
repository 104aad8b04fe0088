import type { ServerDuplexStream } from '@grpc/grpc-js';
import { checkDuration, secondMs } from '../../domain/duration.ts';
import { invalidArgument } from '../../domain/errors.ts';
import { ackDeadlineMsMax } from '../../domain/subscription.ts';
import type { Streams } from '../../pubsub/pubsub.ts';
import { checkStreamAckDeadline, type StreamingPull } from '../../pubsub/streaming-pull.ts';
import type { StreamOutlet, StreamResponse } from '../../pubsub/streaming-pull-outlet.ts';
import { type StreamingPullRequest, streamingPullResponse } from '../proto/stream-proto.ts';
import type { Calls, OpenCall } from './calls.ts';
import type { GrpcLimits } from './grpc-limits.ts';
import { messageType } from './protocol.ts';
import { decode } from './unary-calls.ts';

type Call = ServerDuplexStream<Buffer, object>;

interface StreamingPullDeps {
  readonly streams: Streams;
  readonly calls: Calls;
  readonly limits: GrpcLimits;
}

const requestType = messageType('google.pubsub.v1.StreamingPullRequest');

export function serveStreamingPull(deps: StreamingPullDeps): (call: Call) => void {
  return (call) => new StreamingPullCall(call, deps).serve();
}

/**
 * google.pubsub.v1 Subscriber.StreamingPull on the wire: takes requests apart, and writes what the stream hands out.
 * Requests are worked on next to each other, so that a client which acks one message at a time does not wait for a
 * commit each; past `streamRequestsMax` the stream is not read from.
 */
class StreamingPullCall implements StreamOutlet {
  readonly #call: Call;
  readonly #deps: StreamingPullDeps;
  readonly #open: OpenCall;
  #stream: StreamingPull | undefined;
  #version = 0;
  #working = 0;
  #halfClosed = false;
  #over = false;
  #heartbeat: NodeJS.Timeout | undefined;
  /** Of writes that the transport has not taken yet. */
  readonly #written = new Set<() => void>();

  constructor(call: Call, deps: StreamingPullDeps) {
    this.#call = call;
    this.#deps = deps;
    this.#open = deps.calls.begin('google.pubsub.v1.Subscriber/StreamingPull', call);
  }

  serve(): void {
    this.#call.on('data', (bytes: Buffer) => void this.#take(bytes));
    this.#call.on('end', () => {
      this.#halfClosed = true;
      setImmediate(() => this.#endWhenDone()); // one that is called off ends as well, and is cancelled a moment later
    });
    this.#call.on('cancelled', () => this.#gone()); // which grpc-js says of calls that ended well, too
  }

  send(response: StreamResponse): Promise<void> {
    if (this.#over) return Promise.resolve();
    return new Promise((resolve) => {
      const written = () => {
        this.#written.delete(written);
        resolve();
      };
      this.#written.add(written);
      this.#call.write(streamingPullResponse(response), written);
    });
  }

  end(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#heartbeat);
    if (error === undefined) this.#open.end();
    else this.#open.fail(error);
  }

  /** Whatever is not written by now never will be. */
  #gone(): void {
    this.#over = true;
    clearInterval(this.#heartbeat);
    this.#stream?.cancel();
    for (const written of this.#written) written();
  }

  async #take(bytes: Buffer): Promise<void> {
    if (this.#over) return;
    if (++this.#working >= this.#deps.limits.streamRequestsMax) this.#call.pause();
    try {
      const request = this.#decoded(bytes);
      if (!this.#stream) await this.#work(request, this.#begin(request));
      else if (isKeepAlive(this.#checkedLater(request, this.#stream))) await this.#hear(this.#stream);
      else await this.#work(request, this.#stream);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#working-- >= this.#deps.limits.streamRequestsMax) this.#call.resume();
    this.#endWhenDone();
  }

  #decoded(bytes: Buffer): StreamingPullRequest {
    const { streamRequestBytesMax } = this.#deps.limits;
    if (bytes.length <= streamRequestBytesMax) return decode(requestType, bytes) as StreamingPullRequest;
    throw invalidArgument(
      `The request has ${bytes.length} bytes; at most ${streamRequestBytesMax} are allowed on a stream: send fewer ack ids at once.`,
    );
  }

  /** "This must be provided in the first request on the stream" */
  #begin(request: StreamingPullRequest): StreamingPull {
    const { subscription, streamAckDeadlineSeconds, maxOutstandingMessages, maxOutstandingBytes } = request;
    checkStreamAckDeadline(streamAckDeadlineSeconds);
    this.#version = Number(request.protocolVersion);
    const settings = {
      ackDeadlineMs: streamAckDeadlineSeconds * secondMs,
      messagesMax: Number(maxOutstandingMessages),
      bytesMax: Number(maxOutstandingBytes),
    };
    this.#stream = this.#deps.streams.open(subscription, settings, this);
    if (this.#version >= 1) this.#heartbeat = this.#beatEvery(this.#deps.limits.heartbeatMs, this.#stream);
    return this.#stream;
  }

  #checkedLater(request: StreamingPullRequest, stream: StreamingPull): StreamingPullRequest {
    const { subscription, streamAckDeadlineSeconds: seconds } = request;
    if (subscription !== '') throw onlyFirst('subscription');
    if (Number(request.maxOutstandingMessages) !== 0) throw onlyFirst('max_outstanding_messages');
    if (Number(request.maxOutstandingBytes) !== 0) throw onlyFirst('max_outstanding_bytes');
    if (Number(request.protocolVersion) !== 0) throw onlyFirst('protocol_version');
    if (seconds !== 0) {
      checkStreamAckDeadline(seconds);
      stream.ackDeadlineMs = seconds * secondMs;
    }
    return request;
  }

  /** Clients of version 1 take a stream that does not answer keep-alives for dead. */
  #hear(stream: StreamingPull): Promise<void> {
    return this.#version >= 1 ? stream.heartbeat() : Promise.resolve();
  }

  async #work({ ackIds, ...request }: StreamingPullRequest, stream: StreamingPull): Promise<void> {
    const deadlines = deadlinesOf(request.modifyDeadlineAckIds, request.modifyDeadlineSeconds);
    const works: Promise<void>[] = [];
    if (ackIds.length > 0) works.push(stream.acknowledge(ackIds));
    if (deadlines.size > 0) works.push(stream.modifyAckDeadlines(deadlines));
    await Promise.all(works);
  }

  /** One at a time is on its way to a client that does not read. */
  #beatEvery(ms: number, stream: StreamingPull): NodeJS.Timeout {
    return setInterval(() => {
      if (this.#written.size === 0) void stream.heartbeat();
    }, ms).unref();
  }

  /** The client has said all: it gets an end once what it asked for is done. */
  #endWhenDone(): void {
    if (!this.#halfClosed || this.#working > 0 || this.#over) return;
    if (this.#stream) this.#stream.end(undefined);
    else this.#fail(invalidArgument('The stream had no request; the first one names the subscription.'));
  }

  #fail(error: unknown): void {
    if (this.#stream) this.#stream.end(error);
    else this.end(error);
  }
}

function isKeepAlive({ ackIds, modifyDeadlineAckIds, modifyDeadlineSeconds }: StreamingPullRequest): boolean {
  return ackIds.length + modifyDeadlineAckIds.length + modifyDeadlineSeconds.length === 0;
}

/** @throws INVALID_ARGUMENT lists of different lengths, or a deadline that none may have */
function deadlinesOf(ackIds: readonly string[], seconds: readonly number[]): Map<number, string[]> {
  if (ackIds.length !== seconds.length) {
    throw invalidArgument(
      `modify_deadline_ack_ids has ${ackIds.length} entries and modify_deadline_seconds ${seconds.length}; send one for each.`,
    );
  }
  const byDeadlineMs = new Map<number, string[]>();
  ackIds.forEach((ackId, i) => {
    const deadlineMs = seconds[i]! * secondMs;
    checkDuration('modify_deadline_seconds', deadlineMs, 0, ackDeadlineMsMax); // so there are 601 groups at most
    const group = byDeadlineMs.get(deadlineMs);
    if (group) group.push(ackId);
    else byDeadlineMs.set(deadlineMs, [ackId]);
  });
  return byDeadlineMs;
}

function onlyFirst(field: string) {
  return invalidArgument(`${field} can only be set in the first request of a stream; leave it out of later ones.`);
}
