import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Packet, parser } from 'mqtt-packet';

/** One TCP connection through the tap: what the device said, and what the broker answered. */
interface Tapped {
  readonly toBroker: Packet[];
  readonly toDevice: Packet[];
}

export interface Tap {
  readonly port: number;
  readonly connections: readonly Tapped[];
  close(): void;
}

/** Called for every packet; true tears the connection down before the packet is passed on. */
export type Cutter = (packet: Packet, direction: 'toBroker' | 'toDevice', connection: number) => boolean;

/** A wire between devices and a broker that notes every packet and can be cut at any of them. */
export async function startTap(brokerPort: number, protocolVersion: 4 | 5, cutBefore: Cutter): Promise<Tap> {
  const connections: Tapped[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((device) => {
    const broker = connect(brokerPort, '127.0.0.1');
    const ends = [device, broker];
    const number = connections.push({ toBroker: [], toDevice: [] }) - 1;
    const cut = (): void => ends.forEach((end) => void end.destroy());
    const pass = (from: Socket, to: Socket, direction: keyof Tapped): void => {
      let severed = false;
      const packets = parser({ protocolVersion });
      packets.on('packet', (packet) => {
        severed ||= cutBefore(packet, direction, number);
        if (!severed) connections[number]![direction].push(packet);
      });
      from.on('data', (bytes) => {
        packets.parse(bytes);
        if (severed) cut();
        else to.write(bytes);
      });
      from.on('error', cut).on('close', cut);
      sockets.add(from);
    };
    pass(device, broker, 'toBroker');
    pass(broker, device, 'toDevice');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
