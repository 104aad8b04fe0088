import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** An address behind which the server can change, as a failover looks like from outside, or fall silent, as in a lost network. */
export interface MovableAddress {
  readonly port: number;
  readonly url: string;
  /** What is sent from now on is lost, in both directions; the connections stay. */
  silence(): void;
  /** Connections break; new ones lead to the server at this port. */
  moveTo(port: number): void;
  close(): void;
}

export async function openMovableAddress(first: number): Promise<MovableAddress> {
  let port = first;
  let silent = false;
  const sockets = new Set<Socket>();
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const carry = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('data', (bytes) => void (silent || to.write(bytes)));
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    carry(near, far);
    carry(far, near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  return {
    port: own,
    url: `redis://127.0.0.1:${own}`,
    silence() {
      silent = true;
    },
    moveTo(next) {
      port = next;
      breakAll();
    },
    close() {
      breakAll();
      server.close();
    },
  };
}
