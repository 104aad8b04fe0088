import { subscribeForBroker, unsubscribeForBroker } from './broker-packets.ts';
import type { BrokerStream } from './broker-stream.ts';
import type { MqttNode } from './node.ts';
import { Refusal, reasonCodes, takenOver } from './refusal.ts';
import type { Session } from './session.ts';
import type { SubscribePacket, SubscriptionRequest, UnsubscribePacket } from './subscribe-packet.ts';
import type { Subscription } from './subscription.ts';

export interface SubscriptionsOptions {
  readonly node: MqttNode;
  readonly session: Session;
  readonly version: number;
  readonly stream: BrokerStream;
  /** The state does not know, or did not take it. */
  readonly onFailure: (error: unknown) => void;
  /** Subscriptions were granted whose retained messages are due. */
  readonly onGranted: (requests: readonly SubscriptionRequest[]) => void;
}

/**
 * The subscriptions of one connected client. A change is first made in the state, so that it is durable, and known to
 * those who publish, before Aedes answers with the SUBACK or UNSUBACK.
 */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  #granted: readonly SubscriptionRequest[] = [];

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** @throws Refusal */
  subscribe(packet: SubscribePacket): void {
    const { node, session, stream, version } = this.#options;
    const { subscriptionsMax } = node.limits;
    const filters = new Set([...session.subscriptions.keys(), ...packet.requests.map(({ filter }) => filter)]).size;
    if (filters > subscriptionsMax) {
      const message = `That makes ${filters} subscriptions; ${subscriptionsMax} are allowed. Use wildcards.`;
      throw new Refusal(reasonCodes.quotaExceeded, message, 'subscription_limit');
    }
    // A filter that occurs twice counts as its last occurrence. Shared ones are refused by Aedes.
    const requests = new Map(packet.requests.map((request) => [request.filter, request]));
    const accepted = [...requests.values()].filter(({ filter }) => !filter.startsWith('$share/'));
    const granted = accepted.filter(({ filter, retainHandling }) => {
      return retainHandling === 0 || (retainHandling === 1 && !session.subscriptions.has(filter));
    });
    const added = Object.fromEntries(accepted.map(({ filter, subscription }) => [filter, subscription]));
    this.#change(added, []).then((changed) => {
      if (!changed) return;
      this.#granted = granted;
      stream.feed(subscribeForBroker(packet, version));
    }, this.#options.onFailure);
  }

  unsubscribe(packet: UnsubscribePacket): void {
    const { stream, version, onFailure } = this.#options;
    this.#change({}, packet.filters).then((changed) => {
      if (changed) stream.feed(unsubscribeForBroker(packet, version));
    }, onFailure);
  }

  /** The SUBACK or UNSUBACK is on its way. */
  answered(): void {
    const granted = this.#granted;
    this.#granted = [];
    if (granted.length > 0) this.#options.onGranted(granted);
  }

  /** @returns false: the client belongs to another connection by now, and this one is told so. */
  async #change(added: Readonly<Record<string, Subscription>>, removed: readonly string[]): Promise<boolean> {
    const { node, session } = this.#options;
    if (Object.keys(added).length === 0 && removed.length === 0) return true;
    const held = await node.state.subscribe(session.connection, { added, removed });
    if (held === 'lost') throw takenOver();
    for (const filter of removed) session.subscriptions.delete(filter);
    for (const [filter, subscription] of Object.entries(added)) session.subscriptions.set(filter, subscription);
    if (!session.kept) node.subscribers.change(session.sessionId, added, removed);
    return true;
  }
}
