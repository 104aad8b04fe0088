import { Readable } from 'node:stream';
import type { BrokerPacket, ReleasePacket } from './offline-queue.ts';
import { exactCopy, type RetainedMessages } from './retained-messages.ts';
import type { Session, SessionSubscription } from './session.ts';
import type { Sessions } from './sessions.ts';

interface ClientRef {
  readonly id: string;
}

interface QueuedFor extends SessionSubscription {
  readonly clientId: string;
}

/**
 * What Aedes calls its persistence: its words on one side, ours on the other, no rules of its own. When a session begins
 * and ends is decided by `Sessions`, before Aedes hears of the client and after it has forgotten it.
 */
export class SessionStore {
  readonly #sessions: Sessions;
  readonly #retained: RetainedMessages;
  readonly #added = new WeakMap<readonly SessionSubscription[], Promise<void>>();

  constructor(sessions: Sessions, retained: RetainedMessages) {
    this.#sessions = sessions;
    this.#retained = retained;
  }

  async setup(): Promise<void> {}

  async storeRetained(packet: BrokerPacket): Promise<void> {
    this.#retained.set(packet);
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#retained.matching(filters));
  }

  /** Aedes waits for this before its SUBACK. It passes the whole packet, and does so once per filter in it. */
  addSubscriptions({ id }: ClientRef, subscriptions: readonly SessionSubscription[]): Promise<void> {
    const added = this.#added.get(subscriptions) ?? this.#add(id, subscriptions);
    this.#added.set(subscriptions, added);
    return added;
  }

  async #add(clientId: string, subscriptions: readonly SessionSubscription[]): Promise<void> {
    const session = this.#sessions.get(clientId);
    // Refused filters are among them too.
    const accepted = subscriptions.filter(({ topic }) => !topic.startsWith('$share/'));
    if (session) await this.#sessions.subscribe(session, accepted.map(withoutClient));
  }

  async removeSubscriptions({ id }: ClientRef, filters: readonly string[]): Promise<void> {
    const session = this.#sessions.get(id);
    if (session) await this.#sessions.unsubscribe(session, filters);
  }

  async subscriptionsByClient({ id }: ClientRef): Promise<SessionSubscription[]> {
    return Array.from(this.#sessions.get(id)?.subscriptions.values() ?? [], (subscription) => ({ ...subscription }));
  }

  /** `Sessions` has done it already. */
  async cleanSubscriptions(): Promise<void> {}

  /** Once per session, with the highest QoS of its filters that match. */
  async subscriptionsByTopic(topic: string): Promise<QueuedFor[]> {
    const bySession = new Map<Session, QueuedFor>();
    this.#sessions.filters.match(topic, (session, subscription) => {
      const known = bySession.get(session);
      if (!known || known.qos < subscription.qos)
        bySession.set(session, { ...subscription, clientId: session.clientId });
    });
    return [...bySession.values()];
  }

  async outgoingEnqueueCombi(subscriptions: readonly QueuedFor[], packet: BrokerPacket): Promise<void> {
    if (subscriptions.length === 0) return;
    const payload = exactCopy(packet.payload); // one for all
    for (const { clientId, qos, rap, nl } of subscriptions) {
      if (nl && packet.clientId === clientId) continue; // MQTT-3.8.3-3
      const retain = packet.retain && rap === true; // MQTT-3.3.1-12, -13
      // MQTT-3.8.4-8: a subscriber gets the lower of the message's QoS and its own.
      this.#sessions.get(clientId)?.queue.add({ ...packet, payload, retain, qos: Math.min(packet.qos, qos) });
    }
  }

  async outgoingUpdate({ id }: ClientRef, packet: BrokerPacket | ReleasePacket): Promise<void> {
    const queue = this.#sessions.get(id)?.queue;
    if (packet.cmd === 'pubrel') queue?.release(packet);
    else queue?.sent(packet);
  }

  async outgoingClearMessageId(
    { id }: ClientRef,
    { messageId }: { readonly messageId: number },
  ): Promise<BrokerPacket | ReleasePacket | undefined> {
    return this.#sessions.get(id)?.queue.acknowledge(messageId);
  }

  outgoingStream({ id }: ClientRef): Readable {
    return Readable.from(this.#sessions.get(id)?.queue.packets() ?? []);
  }

  // Aedes keeps a client's will with the client. Wills would be read from here for other brokers that died, and a will in
  // memory dies with its broker.
  async putWill(): Promise<void> {}

  async delWill(): Promise<void> {}

  streamWill(): Readable {
    return Readable.from([]);
  }
}

function withoutClient({ topic, qos, rh, rap, nl, subscriptionIdentifier }: SessionSubscription): SessionSubscription {
  return {
    topic,
    qos,
    ...(rh !== undefined && { rh }),
    ...(rap !== undefined && { rap }),
    ...(nl !== undefined && { nl }),
    ...(subscriptionIdentifier !== undefined && { subscriptionIdentifier }),
  };
}
