import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Aedes } from 'aedes';

/** What a client published, in the order in which the broker took it. */
export interface Published {
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly device: string;
  readonly seq: number;
}

export interface Broker {
  readonly port: number;
  readonly published: readonly Published[];
  seqsOf(device: string): number[];
  close(): Promise<void>;
}

/** A real Aedes on a free port. */
export async function startBroker(onPublish: (published: Published) => void = () => undefined): Promise<Broker> {
  const aedes = await Aedes.createBroker();
  const published: Published[] = [];
  aedes.on('publish', (packet, client) => {
    if (client === null) return;
    const payload = Buffer.from(packet.payload);
    const { device, seq } = JSON.parse(payload.toString()) as { device: string; seq: number };
    const taken = { clientId: client.id, topic: packet.topic, payload, device, seq };
    published.push(taken);
    onPublish(taken);
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    aedes.handle(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    published,
    seqsOf: (device) => published.filter((one) => one.device === device).map(({ seq }) => seq),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}
