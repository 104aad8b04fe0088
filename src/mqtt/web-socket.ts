import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';

export interface WebSocketOptions {
  readonly path: string;
  /** A WebSocket message may hold several packets, or parts of some; a larger one closes the connection (1009). */
  readonly messageBytesMax: number;
  /**
   * Origins of web pages that may connect, beside those served by this host: `https://example.org`, or `*` for all.
   * Without this check any page that a user opens could talk to a broker on the user's own machine.
   */
  readonly origins: readonly string[];
  readonly onStream: (stream: Duplex, remoteAddress: string) => void;
}

/**
 * MQTT over WebSocket (MQTT5 §6) on an HTTP server that belongs to somebody else.
 * @returns stops taking new connections.
 */
export function attachWebSocket(httpServer: Server, options: WebSocketOptions): () => void {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: options.messageBytesMax,
    perMessageDeflate: false,
    handleProtocols: () => 'mqtt', // MQTT-6.0.0-4; offered, or `refusalOf` has refused
  });
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (pathOf(request) !== options.path) {
      if (httpServer.listenerCount('upgrade') === 1) refuse(socket, '404 Not Found', `MQTT is at ${options.path}.`);
      return;
    }
    const refusal = refusalOf(request, options.origins);
    if (refusal) refuse(socket, refusal.status, refusal.message);
    else server.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, request, options));
  };
  httpServer.on('upgrade', onUpgrade);
  return () => httpServer.off('upgrade', onUpgrade);
}

function accept(webSocket: WebSocket, request: IncomingMessage, { onStream }: WebSocketOptions): void {
  const stream = createWebSocketStream(webSocket, { allowHalfOpen: true });
  webSocket.on('message', (_data, isBinary) => {
    if (!isBinary) webSocket.close(1003, 'MQTT is binary'); // MQTT-6.0.0-1
  });
  onStream(stream, request.socket.remoteAddress ?? '');
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function refusalOf({ headers }: IncomingMessage, origins: readonly string[]) {
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (!protocols.includes('mqtt')) {
    return { status: '400 Bad Request', message: 'Ask for the WebSocket subprotocol "mqtt" (MQTT 5, section 6).' };
  }
  const { origin, host } = headers;
  const own = host !== undefined && origin !== undefined && originHost(origin) === host;
  if (origin === undefined || own || origins.includes('*') || origins.includes(origin)) {
    return undefined;
  }
  return {
    status: '403 Forbidden',
    message: `Pages of ${JSON.stringify(origin)} may not connect; allow it as an origin.`,
  };
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function refuse(socket: Duplex, status: string, message: string): void {
  const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n`;
  socket.on('error', () => socket.destroy());
  socket.end(`${head}Content-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`);
}
