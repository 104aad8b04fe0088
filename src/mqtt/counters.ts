/** Why a connection ended; a metric label, so the set is closed. */
export const closeReasons = [
  'client_disconnect',
  'client_gone',
  'connect_timeout',
  'connections_max',
  'protocol_error',
  'packet_too_large',
  'not_authorized',
  'session_limit',
  'subscription_limit',
  'keep_alive',
  'taken_over',
  'store_deadline',
  'store_unavailable',
  'publish_refused',
  'outbound_overflow',
  'shutdown',
  'internal_error',
] as const;
export type CloseReason = (typeof closeReasons)[number];

/** What was not stored, not delivered or not kept although its sender was not told; a metric label. */
export const dropReasons = [
  'qos0_buffer_full',
  'qos0_not_stored',
  'will_not_stored',
  'outbound_qos0',
  'outbound_too_large',
  'outbound_expired',
  'session_queue_full',
  'retained_full',
  'retained_not_stored',
  'fan_out_failed',
  'unreadable',
] as const;
export type DropReason = (typeof dropReasons)[number];

/** Plain numbers beside the doings that they count; telemetry reads them when it is asked. */
export class MqttCounters {
  connections = 0; // open now
  connectionsAccepted = 0;
  /** Received, by QoS, duplicates included. */
  readonly publishes: [qos0: number, qos1: number, qos2: number] = [0, 0, 0];
  /** Repeated QoS 2 publishes that were acknowledged and not stored again. */
  duplicates = 0;
  pubacks = 0;
  pubrecs = 0;
  pubcomps = 0;
  /** Publishes that an MQTT 5 client was told will never be stored. */
  negativeAcks = 0;
  /** Times that a connection was not read from: its window was full, or an answer of the broker was outstanding. */
  readPauses = 0;
  /** PUBLISH packets handed to clients' sockets. */
  delivered = 0;
  readonly closed: Record<CloseReason, number> = zeros(closeReasons);
  readonly dropped: Record<DropReason, number> = zeros(dropReasons);
}

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
