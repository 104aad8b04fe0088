import { once } from 'node:events';
import net from 'node:net';

/** One port in front of several servers, as a load balancer is in production: each connection goes to the next that takes it. */
export interface Front {
  readonly port: number;
  close(): Promise<void>;
}

/** @param ports of the servers, on 127.0.0.1 */
export async function openFront(ports: readonly number[]): Promise<Front> {
  let next = 0;
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    track(client, open);
    forward(client, ports, next++, ports.length, open);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    async close() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}

function forward(
  client: net.Socket,
  ports: readonly number[],
  turn: number,
  triesLeft: number,
  open: Set<net.Socket>,
): void {
  if (triesLeft === 0) return void client.destroy();
  const upstream = net.connect({ port: ports[turn % ports.length]!, host: '127.0.0.1', allowHalfOpen: true });
  track(upstream, open);
  const refused = () => forward(client, ports, turn + 1, triesLeft - 1, open);
  upstream.once('error', refused);
  upstream.once('connect', () => {
    upstream.off('error', refused);
    client.pipe(upstream).pipe(client);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.once('error', () => other.destroy());
      socket.once('close', () => other.destroy());
    }
  });
}

function track(socket: net.Socket, open: Set<net.Socket>): void {
  open.add(socket);
  socket.on('error', () => {});
  socket.once('close', () => open.delete(socket));
}
