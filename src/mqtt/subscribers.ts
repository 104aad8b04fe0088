import type { KeptSession } from '../store/store.ts';
import { FilterTrie } from './filter-trie.ts';
import type { Message } from './message.ts';
import type { Subscription } from './subscription.ts';

/** A connected client, as those who have something for it see it. */
export interface SubscriberLink {
  /** QoS 0: now or never. */
  deliver(message: Message): void;
  /** QoS 1 and 2, for a session that is not kept. @param record see `encodeMessage`; not changed any more */
  enqueue(record: Uint8Array): void;
  /** There may be something new in its queue. */
  wake(): void;
}

/** One session that messages may be for. */
export interface Subscriber {
  readonly clientId: string;
  readonly sessionId: string;
  /** It outlives its connection: what it has to get at QoS 1 or 2 is queued in the state. */
  readonly kept: boolean;
  readonly subscriptions: Map<string, Subscription>;
  /** Present while its client is connected here. */
  link: SubscriberLink | undefined;
}

/**
 * Every session that a message published here may be for: all that the deployment keeps, wherever their clients are, and
 * those that are not kept but connected here. Kept ones are as the state tells them, so that all nodes see them alike.
 */
export class Subscribers {
  readonly filters = new FilterTrie<Subscriber, Subscription>();
  readonly #bySession = new Map<string, Subscriber>();
  /** Kept sessions that have not come again since the state lost sight of them. */
  #stale: Set<string> | undefined;

  get(sessionId: string): Subscriber | undefined {
    return this.#bySession.get(sessionId);
  }

  onSession({ clientId, sessionId, subscriptions }: KeptSession): void {
    this.#stale?.delete(sessionId);
    const subscriber = this.#bySession.get(sessionId) ?? this.#add({ clientId, sessionId, kept: true });
    for (const filter of subscriber.subscriptions.keys()) {
      if (!Object.hasOwn(subscriptions, filter)) this.#drop(subscriber, filter);
    }
    for (const [filter, subscription] of Object.entries(subscriptions)) {
      this.#set(subscriber, filter, subscription as Subscription);
    }
  }

  onSessionEnded(sessionId: string): void {
    const subscriber = this.#bySession.get(sessionId);
    if (subscriber) this.#remove(subscriber);
  }

  onReset(): void {
    const kept = [...this.#bySession.values()].filter((subscriber) => subscriber.kept);
    this.#stale = new Set(kept.map(({ sessionId }) => sessionId));
  }

  onCurrent(): void {
    for (const sessionId of this.#stale ?? []) this.onSessionEnded(sessionId);
    this.#stale = undefined;
  }

  /** A client is connected here, and its session's messages may leave. */
  attach(
    session: { readonly clientId: string; readonly sessionId: string; readonly kept: boolean },
    link: SubscriberLink,
  ): void {
    const { clientId, sessionId, kept } = session;
    const subscriber = this.#bySession.get(sessionId) ?? this.#add({ clientId, sessionId, kept });
    subscriber.link = link;
  }

  detach(sessionId: string, link: SubscriberLink): void {
    const subscriber = this.#bySession.get(sessionId);
    if (subscriber?.link !== link) return;
    subscriber.link = undefined;
    if (!subscriber.kept) this.#remove(subscriber);
  }

  /** The subscriptions of a session that is not kept have changed. */
  change(sessionId: string, added: Readonly<Record<string, Subscription>>, removed: readonly string[]): void {
    const subscriber = this.#bySession.get(sessionId);
    if (!subscriber) return;
    for (const filter of removed) this.#drop(subscriber, filter);
    for (const [filter, subscription] of Object.entries(added)) this.#set(subscriber, filter, subscription);
  }

  #add(session: { readonly clientId: string; readonly sessionId: string; readonly kept: boolean }): Subscriber {
    const subscriber = { ...session, subscriptions: new Map<string, Subscription>(), link: undefined };
    this.#bySession.set(session.sessionId, subscriber);
    return subscriber;
  }

  #set(subscriber: Subscriber, filter: string, subscription: Subscription): void {
    subscriber.subscriptions.set(filter, subscription);
    this.filters.set(filter, subscriber, subscription);
  }

  #drop(subscriber: Subscriber, filter: string): void {
    subscriber.subscriptions.delete(filter);
    this.filters.delete(filter, subscriber);
  }

  #remove(subscriber: Subscriber): void {
    for (const filter of subscriber.subscriptions.keys()) this.filters.delete(filter, subscriber);
    this.#bySession.delete(subscriber.sessionId);
  }
}
