import type { MetricDefinition, Reading } from './metrics.ts';
import { type StoreState, worthLevels } from './store-watch.ts';

/** Where the numbers are. Structural, because telemetry stands beside the house and knows none of its rooms. */
export interface Readings {
  readonly store: { counters(): StoreReading };
  /** As it was last seen: a scrape does not write. */
  readonly storeState: () => StoreState;
  readonly pubsub: () => PubSubReading;
  readonly uplink: () => UplinkReading;
  readonly http: () => HttpReading;
  readonly mqtt: () => MqttReading;
}

interface StoreReading {
  readonly commits: number;
  readonly commitFailures: number;
  readonly records: number;
  readonly queued: number;
  readonly commitMs: number;
  readonly leaseLimits: number;
  readonly bytesOnDisk: number;
  readonly linkLosses: number;
  readonly linkTimeouts: number;
  readonly linkRedirections: number;
  readonly linkWaiting: number;
}

type PubSubReading = Readonly<Record<string, number>>;

interface UplinkReading {
  readonly routes: readonly {
    readonly name: string;
    readonly stored: number;
    readonly refused: number;
    readonly failed: number;
  }[];
  readonly unrouted: number;
}

interface HttpReading {
  readonly requestsOpen: number;
  readonly requestsByOutcome: ReadonlyMap<string, number>;
  readonly connectionsRefused: number;
  readonly connectionsByProtocol: Readonly<Record<string, number>>;
  readonly connectionsUnsorted: number;
  readonly connectionsSilent: number;
  readonly bodiesRefused: number;
  readonly bodyBytesHeld: number;
  readonly replyBytesHeld: number;
  readonly pullsWaiting: number;
  readonly pullsRefused: number;
  readonly callsOpen: number;
  readonly callsByOutcome: ReadonlyMap<string, number>;
  readonly callBytesHeld: number;
  readonly callsRefused: number;
}

interface MqttReading {
  readonly connections: number;
  readonly connectionsAccepted: number;
  readonly publishes: readonly number[];
  readonly duplicates: number;
  readonly pubacks: number;
  readonly pubrecs: number;
  readonly pubcomps: number;
  readonly sessions: number;
  readonly nodes: number;
  readonly forwarded: number;
  readonly forwardDropped: number;
  readonly forwardReceived: number;
  readonly takeovers: number;
  readonly takeoverTimeouts: number;
  readonly resets: number;
  readonly retainedMessages: number;
  readonly retainedBytes: number;
  readonly inflightBytes: number;
  readonly qos0Bytes: number;
  readonly negativeAcks: number;
  readonly readPauses: number;
  readonly delivered: number;
  readonly closed: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
}

const counter = (name: string, help: string, read: () => Reading, label?: string): MetricDefinition => {
  return { name, help, type: 'counter', read, ...(label ? { label } : {}) };
};
const gauge = (name: string, help: string, read: () => Reading, label?: string): MetricDefinition => {
  return { name, help, type: 'gauge', read, ...(label ? { label } : {}) };
};

/** Every metric that Headwater shows beside the process's own; each label has a closed set of values. */
export function serverMetrics({ store, storeState, pubsub, uplink, http, mqtt }: Readings): MetricDefinition[] {
  const ofStore = (key: keyof StoreReading) => () => store.counters()[key];
  const ofRoutes = (key: 'stored' | 'refused' | 'failed') => () =>
    Object.fromEntries(uplink().routes.map((route) => [route.name, route[key]]));
  return [
    counter('store_commits_total', 'Transactions on disk.', ofStore('commits')),
    counter('store_commit_failures_total', 'Transactions that could not be written.', ofStore('commitFailures')),
    counter('store_commit_milliseconds_total', 'Time that transactions took, summed.', ofStore('commitMs')),
    counter('store_records_total', 'Messages appended since the start.', ofStore('records')),
    counter('store_lease_limits_total', 'Leases cut because too much is held or parked.', ofStore('leaseLimits')),
    gauge('store_queued', 'Writers that wait for the next transaction.', ofStore('queued')),
    gauge('store_bytes', 'Size of the store on disk.', ofStore('bytesOnDisk')),
    counter('store_link_losses_total', 'Connections to the store that were lost.', ofStore('linkLosses')),
    counter('store_link_timeouts_total', 'Commands not answered in time by the store.', ofStore('linkTimeouts')),
    counter('store_link_redirections_total', 'Calls sent on by a server of a cluster.', ofStore('linkRedirections')),
    gauge('store_link_waiting', 'Calls that wait for a server of the store to come back.', ofStore('linkWaiting')),
    gauge('store_writable', 'Whether the store took the last write that tried it.', () =>
      Number(storeState().writable),
    ),
    gauge(
      'store_durability',
      'What an acknowledgement is worth: 1 at the level that holds.',
      () => Object.fromEntries(worthLevels.map((level) => [level, Number(level === storeState().level)])),
      'level',
    ),
    ...ofPubSub(pubsub),
    counter('route_stored_total', 'Messages stored, by route.', ofRoutes('stored'), 'route'),
    counter('route_refused_total', 'Messages that can never be stored, by route.', ofRoutes('refused'), 'route'),
    counter('route_failed_total', 'Messages that the store did not take, by route.', ofRoutes('failed'), 'route'),
    counter('mqtt_unrouted_total', 'Messages that no route took.', () => uplink().unrouted),
    gauge('mqtt_connections', 'Open MQTT connections.', () => mqtt().connections),
    counter('mqtt_connections_total', 'MQTT connections accepted.', () => mqtt().connectionsAccepted),
    counter(
      'mqtt_publishes_total',
      'PUBLISH packets received, by QoS.',
      () => new Map(mqtt().publishes.map((count, qos) => [String(qos), count])),
      'qos',
    ),
    counter('mqtt_duplicates_total', 'Repeated QoS 2 publishes, not stored again.', () => mqtt().duplicates),
    counter('mqtt_pubacks_total', 'PUBACK packets sent.', () => mqtt().pubacks),
    counter('mqtt_pubrecs_total', 'PUBREC packets sent.', () => mqtt().pubrecs),
    counter('mqtt_pubcomps_total', 'PUBCOMP packets sent.', () => mqtt().pubcomps),
    gauge('mqtt_sessions', 'Sessions that outlive their connections.', () => mqtt().sessions),
    gauge('mqtt_retained_messages', 'Retained messages.', () => mqtt().retainedMessages),
    gauge('mqtt_retained_bytes', 'Their size.', () => mqtt().retainedBytes),
    gauge('mqtt_nodes', 'Other nodes that are alive.', () => mqtt().nodes),
    counter('mqtt_forwarded_total', 'Messages sent to subscribers on other nodes.', () => mqtt().forwarded),
    counter('mqtt_forward_dropped_total', 'Of those, lost on the way.', () => mqtt().forwardDropped),
    counter('mqtt_forward_received_total', 'Messages from publishers on other nodes.', () => mqtt().forwardReceived),
    counter('mqtt_takeovers_total', 'Clients that connected anew on another node.', () => mqtt().takeovers),
    counter(
      'mqtt_takeover_timeouts_total',
      'Times that the earlier connection of a client did not end in time.',
      () => mqtt().takeoverTimeouts,
    ),
    counter('mqtt_resets_total', 'Times that word from other nodes was lost for a while.', () => mqtt().resets),
    gauge('mqtt_inflight_bytes', 'QoS 1 and 2 messages on their way to the store.', () => mqtt().inflightBytes),
    gauge('mqtt_qos0_bytes', 'QoS 0 messages on their way to the store.', () => mqtt().qos0Bytes),
    counter('mqtt_negative_acks_total', 'Publishes that were refused for good.', () => mqtt().negativeAcks),
    counter('mqtt_read_pauses_total', 'Times that a full window stopped reading.', () => mqtt().readPauses),
    counter('mqtt_delivered_total', 'PUBLISH packets sent to clients.', () => mqtt().delivered),
    counter('mqtt_closed_total', 'Connections ended, by reason.', () => mqtt().closed, 'reason'),
    counter('mqtt_dropped_total', 'Messages dropped, by reason.', () => mqtt().dropped, 'reason'),
    gauge('http_requests', 'REST requests being answered.', () => http().requestsOpen),
    counter(
      'http_requests_total',
      'REST requests answered, by method and status.',
      () => http().requestsByOutcome,
      'outcome',
    ),
    counter('http_connections_refused_total', 'HTTP connections past the bound.', () => http().connectionsRefused),
    counter(
      'http_connections_total',
      'Connections of the HTTP port, by what they speak.',
      () => http().connectionsByProtocol,
      'protocol',
    ),
    gauge('http_connections_unsorted', 'Those that have not said it yet.', () => http().connectionsUnsorted),
    counter('http_connections_silent_total', 'Closed because they never did.', () => http().connectionsSilent),
    gauge('grpc_calls', 'gRPC calls being answered, streams among them.', () => http().callsOpen),
    counter('grpc_calls_total', 'gRPC calls ended, by method and code.', () => http().callsByOutcome, 'outcome'),
    gauge('grpc_request_bytes', 'Requests of gRPC calls being answered.', () => http().callBytesHeld),
    counter('grpc_requests_refused_total', 'gRPC requests past a bound in bytes.', () => http().callsRefused),
    counter('http_bodies_refused_total', 'Request bodies past the bound.', () => http().bodiesRefused),
    gauge('http_body_bytes', 'Request bodies being answered.', () => http().bodyBytesHeld),
    gauge('http_reply_bytes', 'Replies that clients have not taken yet.', () => http().replyBytesHeld),
    gauge('http_pulls_waiting', 'Pulls that wait for messages.', () => http().pullsWaiting),
    counter('http_pulls_refused_total', 'Pulls past the bound.', () => http().pullsRefused),
  ];
}

/** Levels among the core's numbers; the rest only ever grow. */
const pubSubGauges = [
  'streams',
  'streamMessagesHeld',
  'waitingPulls',
  'subscriptionHandles',
  'topicHandles',
  'logCacheBytes',
  'pushSubscriptions',
  'pushSubscriptionsResting',
  'pushSubscriptionsRefused',
  'pushRequestsOpen',
  'pushMessagesHeld',
  'pushBytesHeld',
  'pushesWaiting',
];

function ofPubSub(pubsub: () => PubSubReading): MetricDefinition[] {
  return Object.keys(pubsub()).map((key) => {
    const words = key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    const name = `pubsub_${words.replaceAll(' ', '_')}`;
    const read = () => pubsub()[key]!;
    const help = `Pub/Sub: ${words}.`;
    return pubSubGauges.includes(key) ? gauge(name, help, read) : counter(`${name}_total`, help, read);
  });
}
