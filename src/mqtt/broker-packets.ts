import { generate } from 'mqtt-packet';
import { varint } from './replies.ts';
import type { SubscribePacket, UnsubscribePacket } from './subscribe-packet.ts';

/*
 * What Aedes reads instead of what the client wrote: the same intent without anything that Aedes does not need. So no
 * property, no reason string and no keep-alive of a client ever meets its parser.
 */

/** To Aedes every session ends with its connection, and there are no wills: both are the state's. */
export function connectForBroker(version: number, clientId: string): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version as 3 | 4 | 5,
    clientId,
    clean: true,
    keepalive: 0, // the gate's: Aedes sees too few packets to judge
  });
}

export function subscribeForBroker({ packetId, payload }: SubscribePacket, version: number): Buffer {
  return withFilters(0x82, packetId, version, payload);
}

export function unsubscribeForBroker({ packetId, payload }: UnsubscribePacket, version: number): Buffer {
  return withFilters(0xa2, packetId, version, payload);
}

function withFilters(header: number, packetId: number, version: number, filters: Buffer): Buffer {
  const properties = version === 5 ? Buffer.of(0) : Buffer.alloc(0);
  const body = Buffer.concat([Buffer.of(packetId >> 8, packetId & 0xff), properties, filters]);
  return Buffer.concat([Buffer.of(header), varint(body.length), body]);
}
