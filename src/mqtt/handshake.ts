import { randomUUID } from 'node:crypto';
import type { ConnectPacket } from './connect-packet.ts';
import { ConnectedClient } from './connected-client.ts';
import type { Gate } from './gate.ts';
import type { MqttNode } from './node.ts';
import { Refusal, reasonCodes } from './refusal.ts';
import { connack, type Fit } from './replies.ts';
import type { Session } from './session.ts';

/**
 * From a well-formed CONNECT to a client, in this order: who is it, is an earlier connection of it still here (it is
 * closed, and everything of it finished), which session does it get. Nothing of an existing session is touched before
 * the client is authenticated. Durable on return.
 * @returns undefined when the connection was closed meanwhile; its session is let go of.
 * @throws Refusal or a PubSubError of the store: the CONNECT is answered with it.
 */
export async function shakeHands(
  node: MqttNode,
  gate: Gate,
  packet: ConnectPacket,
): Promise<ConnectedClient | undefined> {
  const clientId = packet.clientId || `headwater-${randomUUID()}`;
  await authenticate(node, gate, packet, clientId);
  if (!(await takeOver(node, gate, clientId))) return undefined;
  const expirySeconds = expiryOf(packet, node.limits.sessionExpirySecondsMax);
  const { session, present } = await node.sessions.open({ clientId, cleanStart: packet.cleanStart, expirySeconds });
  let client: ConnectedClient | undefined;
  try {
    if (!gate.closed) client = connected(node, gate, packet, { session, present, expirySeconds });
    return client;
  } finally {
    if (!client) node.sessions.close(session, expirySeconds);
  }
}

/** @throws Refusal the client may not come in. */
async function authenticate(node: MqttNode, gate: Gate, packet: ConnectPacket, clientId: string): Promise<void> {
  const { username, password } = packet;
  const { remoteAddress, ended } = gate;
  const denial = await Promise.race([node.authenticate?.({ clientId, username, password, remoteAddress }), ended]);
  if (denial) throw new Refusal(denial.code, denial.message, 'not_authorized');
}

/** MQTT-3.1.4-3. @returns false when this connection was closed while it waited. */
async function takeOver(node: MqttNode, gate: Gate, clientId: string): Promise<boolean> {
  while (!gate.closed) {
    const earlier = node.live.get(clientId);
    if (!earlier) {
      node.live.set(clientId, gate);
      gate.clientId = clientId;
      return true;
    }
    const message = 'The same client id has connected again.';
    earlier.refuse(new Refusal(reasonCodes.sessionTakenOver, message, 'taken_over'));
    await Promise.race([earlier.gone, gate.ended]);
  }
  return false;
}

interface Opened {
  readonly session: Session;
  readonly present: boolean;
  readonly expirySeconds: number;
}

function connected(node: MqttNode, gate: Gate, packet: ConnectPacket, opened: Opened): ConnectedClient {
  const { session, present, expirySeconds } = opened;
  return new ConnectedClient({
    node,
    host: gate,
    outbox: gate.outbox,
    packet,
    session,
    expirySeconds,
    fit: fitOf(packet),
    connack: connackFor(node, packet, session, present),
  });
}

/** MQTT 3.1.1 knows two: with the connection, and never. */
function expiryOf({ version, cleanStart, properties }: ConnectPacket, secondsMax: number): number {
  if (version < 5) return cleanStart ? 0 : secondsMax;
  return Math.min(properties.sessionExpirySeconds ?? 0, secondsMax);
}

function fitOf({ properties }: ConnectPacket): Fit {
  return {
    packetBytesMax: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    problemInformation: properties.requestProblemInformation !== 0,
  };
}

function connackFor({ limits }: MqttNode, packet: ConnectPacket, session: Session, sessionPresent: boolean): Buffer {
  const { version, clientId, properties } = packet;
  const asked = properties.sessionExpirySeconds ?? 0;
  return connack(version, {
    sessionPresent,
    receiveMaximum: limits.inflightMax,
    maximumPacketSize: limits.packetBytesMax,
    topicAliasMaximum: limits.topicAliasMax,
    sessionExpirySeconds: session.expirySeconds === asked ? undefined : session.expirySeconds,
    clientId: clientId === '' ? session.clientId : undefined,
  });
}
