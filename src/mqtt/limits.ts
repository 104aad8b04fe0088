import type { MqttStateLimits } from '../store/store.ts';

/** Every bound of the MQTT side; what happens at each is said beside it, and `MqttCounters` counts it. */
export interface MqttLimits extends MqttStateLimits {
  /** Connections at a time, all listeners together; one more is closed at once. */
  readonly connectionsMax: number;
  /** From the accepted socket to a complete CONNECT; then the connection is closed. */
  readonly connectTimeoutMs: number;
  /** Size of a packet before the client is known; a larger one closes the connection as soon as its header is there. */
  readonly connectBytesMax: number;
  /** Size of a packet afterwards (MQTT 5 Maximum Packet Size); the same rule. */
  readonly packetBytesMax: number;
  /** A longer client id is refused. It also has to fit into an attribute of a Pub/Sub message. */
  readonly clientIdBytesMax: number;
  /** A longer topic or filter closes the connection. It also has to fit into an attribute. */
  readonly topicBytesMax: number;
  /** A deeper topic or filter closes the connection. Aedes' matcher takes no more than 100. */
  readonly topicLevelsMax: number;
  /** MQTT 5 Topic Alias Maximum, client to server; an alias beyond it closes the connection. */
  readonly topicAliasMax: number;
  /** Publishes of a connection that are not acknowledged yet (MQTT 5 Receive Maximum); then the gate stops reading. */
  readonly inflightMax: number;
  /** Their bytes, and those of QoS 0, with `publishOverheadBytes` for each; then the gate stops reading. */
  readonly inflightBytesMax: number;
  /** Bytes in flight on all connections, closed ones included; then each may have one unacknowledged publish and no more. */
  readonly inflightTotalBytesMax: number;
  /** QoS 0 messages of all connections on their way to the store; past it they are not stored. */
  readonly qos0BytesMax: number;
  /** Age of the oldest publish without an acknowledgement at which the connection is closed. */
  readonly storeDeadlineMs: number;
  /**
   * What waits for one client's socket; past it QoS 0 is dropped. And what waits, at QoS 1 and 2, for a client whose
   * session ends with its connection; past it the connection is closed.
   */
  readonly outboundBytesMax: number;
  /** What waits for one client's socket at which the gate stops reading from that client, and sending it QoS 1 and 2. */
  readonly unreadBytesMax: number;
  /** Filters of one connection; one more closes the connection. */
  readonly subscriptionsMax: number;
  /** A longer Session Expiry Interval is cut to this; so is the endless session of MQTT 3.1.1. */
  readonly sessionExpirySecondsMax: number;
  /** How often the state looks after sessions, wills and other nodes. */
  readonly sweepMs: number;
  /** QoS 1 and 2 messages that a client has not acknowledged; a smaller Receive Maximum of an MQTT 5 client counts. */
  readonly outgoingMax: number;
  /** What is read of a session's queue ahead of its client. */
  readonly readAheadBytesMax: number;
  /** When a queue that could not be read is tried again. */
  readonly queueRetryMs: number;
  /** Sessions without a connection whose unreleased QoS 2 packet ids are remembered here; of others the store knows them. */
  readonly rememberedSessionsMax: number;
  /** How long a closed connection may take to read its last packet. */
  readonly closeLingerMs: number;
}

export const defaultMqttLimits: MqttLimits = {
  connectionsMax: 10_000,
  connectTimeoutMs: 10_000,
  connectBytesMax: 65_536,
  packetBytesMax: 1_048_576,
  clientIdBytesMax: 1024,
  topicBytesMax: 1024,
  topicLevelsMax: 100,
  topicAliasMax: 16,
  inflightMax: 32,
  inflightBytesMax: 131_072,
  inflightTotalBytesMax: 256 * 1_048_576,
  qos0BytesMax: 64 * 1_048_576,
  storeDeadlineMs: 5000,
  outboundBytesMax: 8 * 1_048_576,
  unreadBytesMax: 65_536,
  subscriptionsMax: 1000,
  sessionExpirySecondsMax: 30 * 86_400,
  sweepMs: 1000,
  outgoingMax: 128,
  readAheadBytesMax: 262_144,
  queueRetryMs: 1000,
  rememberedSessionsMax: 10_000,
  closeLingerMs: 1000,
  sessionsMax: 10_000,
  sessionQueueMessagesMax: 100_000,
  sessionQueueBytesMax: 64 * 1_048_576,
  retainedMessagesMax: 10_000,
  retainedBytesMax: 64 * 1_048_576,
  takeoverMs: 5000,
  nodeDeadMs: 10_000,
  forwardBytesMax: 16 * 1_048_576,
};

/** What a publish costs beside its topic and payload, roughly; so that a million empty ones are not free. */
export const publishOverheadBytes = 256;
