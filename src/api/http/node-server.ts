import { createServer, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { secondMs } from '../../domain/duration.ts';
import { invalidArgument, PubSubError } from '../../domain/errors.ts';
import { errorReply, jsonType } from './error-reply.ts';
import type { HttpLimits } from './http-limits.ts';

/** Node's HTTP server with every bound of a request that it knows, and answers in the envelope for what never becomes a request. */
export function createNodeServer(limits: HttpLimits, listener: RequestListener): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5 * secondMs), // how exactly the timeouts are kept
    },
    listener,
  );
  server.setTimeout(limits.silenceTimeoutMs);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(socket, refusalOf(error, limits)));
  return server;
}

function refusalOf({ code, message }: NodeJS.ErrnoException, limits: HttpLimits): PubSubError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return invalidArgument(`The request line and headers have more than ${limits.headerBytesMax} bytes together.`);
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new PubSubError(
      'DEADLINE_EXCEEDED',
      `The request was not complete in time: ${limits.headersTimeoutMs / secondMs} s for its headers, ${limits.requestTimeoutMs / secondMs} s for all of it.`,
    );
  }
  return invalidArgument(`This is not an HTTP/1.1 request: ${message}.`);
}

/** A broken connection takes no answer, and one in the middle of an answer must not get another into it. */
function refuse(socket: Duplex, refusal: PubSubError): void {
  if (!socket.writable || ('bytesWritten' in socket && socket.bytesWritten !== 0)) {
    socket.destroy();
    return;
  }
  const { status, body } = errorReply(refusal, '');
  const json = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} ${refusal.code}\r\nContent-Type: ${jsonType}\r\nContent-Length: ${Buffer.byteLength(json)}\r\nConnection: close\r\n\r\n${json}`,
  );
}
