import type { MqttState } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MqttCounters } from './counters.ts';
import type { Interests } from './interests.ts';
import { type Message, noIdentifiers } from './message.ts';
import { decodeMessage, encodeMessage } from './message-record.ts';
import { encodeProperties } from './property-bytes.ts';
import type { Publish } from './publish-packet.ts';
import type { Subscriber, SubscriberLink, Subscribers } from './subscribers.ts';
import { type Entitlement, entitle } from './subscription.ts';
import type { KnownTopic } from './topic-cache.ts';

export interface FanOutOptions {
  readonly state: MqttState;
  readonly subscribers: Subscribers;
  readonly interests: Interests;
  readonly counters: MqttCounters;
  readonly clock: () => number;
  readonly logger: Logger;
}

/** A message for one kept session. */
export interface Queued {
  readonly sessionId: string;
  readonly message: Message;
}

/** Whom a message is for. */
export interface Audience {
  readonly message: Message;
  /** Kept sessions, of whatever node: durable before the publisher's acknowledgement. */
  readonly queued: readonly Queued[];
  /** Connected here: sent when the publisher has its acknowledgement. */
  readonly live: readonly { readonly link: SubscriberLink; readonly message: Message }[];
  /** Other nodes, where somebody may be connected for whom nothing is queued. */
  readonly nodes: readonly string[];
}

/**
 * From a message to those who get it, once per session. Two ways lead there:
 *
 * - the queue of a kept session, in the state, for everything that it gets at QoS 1 or 2, wherever its client is;
 * - the live way, for the rest: QoS 0, and sessions that end with their connection. It leads to clients connected here
 *   and, by way of `forward`, to those of other nodes, which take no other way with it than the live one.
 */
export class FanOut {
  readonly #options: FanOutOptions;

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  /** Undefined when nobody wants it: the usual case of a bridged topic, so it has to be cheap. */
  messageOf(publish: Publish, clientId: string): Message | undefined {
    if (!publish.retain && !this.wants(publish.known)) return undefined;
    const { topic, payload, qos, retain, properties } = publish;
    const expiry = properties?.messageExpirySeconds;
    return {
      topic,
      payload,
      qos,
      retain,
      publisher: clientId,
      expiresMs: expiry === undefined ? 0 : this.#options.clock() + expiry * 1000,
      properties: encodeProperties(properties),
      identifiers: noIdentifiers,
    };
  }

  /** Whether a message on this topic has anywhere to go; remembered with the topic. */
  wants(known: KnownTopic): boolean {
    const { subscribers, interests } = this.#options;
    const version = subscribers.filters.version + interests.filters.version;
    if (known.wantedAt !== version) {
      known.wanted = subscribers.filters.matches(known.topic) || interests.filters.matches(known.topic);
      known.wantedAt = version;
    }
    return known.wanted;
  }

  address(message: Message): Audience {
    const { subscribers, interests } = this.#options;
    const entitled = new Map<Subscriber, Entitlement>();
    subscribers.filters.match(message.topic, (subscriber, subscription) => {
      if (subscription.noLocal && subscriber.clientId === message.publisher) return; // MQTT-3.8.3-3
      const known = entitled.get(subscriber);
      const more = entitle(known, subscription);
      if (!known) entitled.set(subscriber, more);
    });
    return { message, nodes: interests.nodesFor(message.topic), ...split(message, entitled) };
  }

  /** What has to be durable before the publisher's acknowledgement. @returns undefined: nothing */
  keep({ message, queued }: Audience): Promise<unknown> | undefined {
    const retained = message.retain ? this.#retain(message) : undefined;
    const enqueued = queued.length > 0 ? this.enqueue(queued) : undefined;
    return retained && enqueued ? Promise.all([retained, enqueued]) : (retained ?? enqueued);
  }

  /** Durable on return; what a full queue does not take is counted. */
  async enqueue(queued: readonly Queued[]): Promise<void> {
    const { state, counters } = this.#options;
    const entries = queued.map(({ sessionId, message }) => ({ sessionId, message: encodeMessage(message) }));
    const refused = await state.enqueue(entries);
    counters.dropped.session_queue_full += refused;
  }

  /** To those who are connected. */
  deliver({ message, live, nodes }: Audience): void {
    for (const { link, message: addressed } of live) this.#handOver(link, addressed);
    if (nodes.length > 0) this.#options.state.forward(nodes, encodeMessage(message));
  }

  /** A message that another node has stored, queued and retained. */
  onForwarded(record: Uint8Array): void {
    for (const { link, message } of this.address(decodeMessage(record)).live) this.#handOver(link, message);
  }

  /** One subscriber that fails must not keep the others from theirs. */
  #handOver(link: SubscriberLink, message: Message): void {
    try {
      if (message.qos === 0) link.deliver(message);
      else link.enqueue(encodeMessage(message, Buffer.allocUnsafeSlow));
    } catch (error) {
      this.#options.counters.dropped.fan_out_failed++;
      this.#options.logger.error({ err: error }, 'mqtt fan-out failed');
    }
  }

  /** MQTT-3.3.1-6: an empty one removes what is there. */
  async #retain(message: Message): Promise<void> {
    const { state, counters } = this.#options;
    const kept = await state.retain(message.topic, message.payload.length > 0 ? encodeMessage(message) : undefined);
    if (!kept) counters.dropped.retained_full++;
  }
}

/** MQTT-3.8.4-8: each at the lower of the message's QoS and its own. */
function split(message: Message, entitled: ReadonlyMap<Subscriber, Entitlement>): Pick<Audience, 'queued' | 'live'> {
  const queued: Queued[] = [];
  const live: { link: SubscriberLink; message: Message }[] = [];
  for (const [subscriber, entitlement] of entitled) {
    const { kept, link, sessionId } = subscriber;
    const addressed = addressedTo(message, entitlement);
    if (kept && addressed.qos > 0) queued.push({ sessionId, message: addressed });
    else if (link) live.push({ link, message: addressed });
  }
  return { queued, live };
}

function addressedTo(message: Message, { qos, retainAsPublished, identifiers }: Entitlement): Message {
  return {
    ...message,
    qos: Math.min(message.qos, qos) as 0 | 1 | 2,
    retain: message.retain && retainAsPublished, // MQTT-3.3.1-12, -13
    identifiers,
  };
}
