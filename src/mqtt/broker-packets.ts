import { generate } from 'mqtt-packet';
import { brokerProperties } from './broker-properties.ts';
import type { ConnectPacket, Will } from './connect-packet.ts';
import type { Acknowledgement } from './control-packets.ts';
import { varint } from './replies.ts';
import type { SubscribePacket, UnsubscribePacket } from './subscribe-packet.ts';

/*
 * What Aedes reads instead of what the client wrote: the same intent without anything that Aedes does not need. So no
 * property, no reason string and no keep-alive of a client ever meets its parser.
 */

const sessionNeverExpires = 0xffffffff;

export interface BrokerConnect {
  readonly packet: ConnectPacket;
  readonly clientId: string;
  /** The session is one that `Sessions` keeps: Aedes must neither discard nor time it. */
  readonly kept: boolean;
  readonly expirySeconds: number;
}

export function connectForBroker({ packet, clientId, kept, expirySeconds }: BrokerConnect): Buffer {
  const { version, cleanStart, will } = packet;
  return generate({
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clientId,
    clean: version === 5 ? cleanStart : !kept,
    keepalive: 0, // the gate's: Aedes sees too few packets to judge
    ...(version === 5 && kept && { properties: { sessionExpiryInterval: sessionNeverExpires } }),
    ...(will && { will: willForBroker(will, version, expirySeconds) }),
  });
}

function willForBroker({ topic, payload, qos, retain, properties }: Will, version: number, expirySeconds: number) {
  // MQTT-3.1.3-9: sent after its delay or when the session ends, whichever comes first.
  const willDelayInterval = Math.min(properties.willDelaySeconds ?? 0, expirySeconds);
  const message = { topic, payload, qos, retain };
  return version === 5 ? { ...message, properties: { ...brokerProperties(properties), willDelayInterval } } : message;
}

export function subscribeForBroker(packet: SubscribePacket, version: number): Buffer {
  const { packetId, subscriptionIdentifier, payload } = packet;
  const identifier =
    subscriptionIdentifier === undefined
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.of(11), varint(subscriptionIdentifier)]);
  return withFilters(0x82, packetId, version === 5 ? [varint(identifier.length), identifier] : [], payload);
}

export function unsubscribeForBroker({ packetId, payload }: UnsubscribePacket, version: number): Buffer {
  return withFilters(0xa2, packetId, version === 5 ? [Buffer.of(0)] : [], payload);
}

function withFilters(header: number, packetId: number, properties: readonly Buffer[], filters: Buffer): Buffer {
  const body = Buffer.concat([Buffer.of(packetId >> 8, packetId & 0xff), ...properties, filters]);
  return Buffer.concat([Buffer.of(header), varint(body.length), body]);
}

/** PUBACK, PUBREC, PUBCOMP. */
export function acknowledgementForBroker(header: number, { packetId, reasonCode }: Acknowledgement): Buffer {
  const id = [packetId >> 8, packetId & 0xff] as const;
  return reasonCode < 0x80 ? Buffer.of(header, 2, ...id) : Buffer.of(header, 3, ...id, reasonCode);
}

/** MQTT-3.14.4-3: only a plain DISCONNECT takes the will back. */
export function disconnectForBroker(reasonCode: number, version: number): Buffer {
  if (version < 5) return Buffer.of(0xe0, 0);
  return Buffer.of(0xe0, 2, reasonCode === 0 ? 0 : 4, 0);
}
