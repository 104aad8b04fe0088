import { randomUUID } from 'node:crypto';
import { PubSubError } from '../domain/errors.ts';
import type { ConnectGrant, ConnectionRef } from '../store/store.ts';
import type { ConnectPacket } from './connect-packet.ts';
import { ConnectedClient } from './connected-client.ts';
import type { Gate } from './gate.ts';
import type { MqttNode } from './node.ts';
import { Refusal, reasonCodes, takenOver } from './refusal.ts';
import { connack, type Fit } from './replies.ts';
import type { Session } from './session.ts';
import type { Subscription } from './subscription.ts';
import { UnreleasedIds } from './unreleased-ids.ts';
import { encodeWill } from './will-record.ts';

/**
 * From a well-formed CONNECT to a client, in this order: who is it, is an earlier connection of it still here (it is
 * closed, and everything of it finished), is one on another node (the state sees to that), which session does it get.
 * Nothing of an existing session is touched before the client is authenticated. Durable on return.
 * @returns undefined when the connection was closed meanwhile; the state knows.
 * @throws Refusal or a PubSubError of the state: the CONNECT is answered with it.
 */
export async function shakeHands(
  node: MqttNode,
  gate: Gate,
  packet: ConnectPacket,
): Promise<ConnectedClient | undefined> {
  const clientId = packet.clientId || `headwater-${randomUUID()}`;
  await authenticate(node, gate, packet, clientId);
  if (!(await takeOver(node, gate, clientId))) return undefined;
  const connection = { clientId, connection: randomUUID() };
  const expirySeconds = expiryOf(packet, node.limits.sessionExpirySecondsMax);
  gate.connection = connection.connection;
  const grant = await claim(node, packet, connection, expirySeconds);
  if (grant.earlierWill) node.wills.publish(grant.earlierWill);
  let client: ConnectedClient | undefined;
  try {
    if (!gate.closed)
      client = connected(node, gate, packet, sessionOf(node, connection, expirySeconds, grant), grant.present);
    return client;
  } finally {
    if (!client) await node.departures.tell(connection, { sendWill: true, expirySeconds, sentUpTo: grant.sentUpTo });
  }
}

/** @throws Refusal there are too many sessions */
async function claim(
  { state }: MqttNode,
  { cleanStart, will }: ConnectPacket,
  connection: ConnectionRef,
  expirySeconds: number,
): Promise<ConnectGrant> {
  try {
    return await state.connect({
      ...connection,
      cleanStart,
      expirySeconds,
      newSessionId: randomUUID(),
      will: will && {
        message: encodeWill(will, connection.clientId),
        delaySeconds: will.properties.willDelaySeconds ?? 0,
      },
    });
  } catch (error) {
    if (!(error instanceof PubSubError) || error.code !== 'RESOURCE_EXHAUSTED') throw error;
    throw new Refusal(reasonCodes.quotaExceeded, error.message, 'session_limit');
  }
}

function sessionOf(
  { unreleased }: MqttNode,
  connection: ConnectionRef,
  expirySeconds: number,
  { sessionId, present, subscriptions, previous, sentUpTo }: ConnectGrant,
): Session {
  const remembered = present ? unreleased.take(sessionId, previous) : undefined;
  return {
    clientId: connection.clientId,
    connection,
    sessionId,
    kept: present || expirySeconds > 0,
    recalled: present && !remembered,
    expirySeconds,
    subscriptions: new Map(Object.entries(subscriptions) as [string, Subscription][]),
    unreleased: remembered ?? new UnreleasedIds(),
    sentUpTo,
  };
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
    earlier.refuse(takenOver());
    await Promise.race([earlier.gone, gate.ended]);
  }
  return false;
}

function connected(
  node: MqttNode,
  gate: Gate,
  packet: ConnectPacket,
  session: Session,
  present: boolean,
): ConnectedClient {
  return new ConnectedClient({
    node,
    host: gate,
    outbox: gate.outbox,
    packet,
    session,
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
