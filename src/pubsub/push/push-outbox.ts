import { setMaxListeners } from 'node:events';
import type { ReceivedMessage } from '../pubsub.ts';
import type { PushHealth } from './endpoint-health.ts';
import type { PushParts } from './push-parts.ts';
import type { PushOutcome } from './push-sender.ts';
import { PushTarget } from './push-target.ts';
import type { PushShare } from './push-turns.ts';
import { pushedMessage } from './pushed-message.ts';
import type { PushedSubscription } from './pushed-subscription.ts';

/** How the outbox and the loop that fills it speak to each other. */
export interface PushSwitch {
  /** False: nothing new is sent. */
  readonly on: () => boolean;
  /** There may be room again. */
  readonly changed: () => void;
  /** A rest begins. */
  readonly resting: () => void;
}

interface Held {
  readonly received: ReceivedMessage;
  readonly leasedMs: number;
}

/**
 * The messages of one subscription that are leased for pushing, each on its way through
 *
 *     held ──a turn of the node──► sent ──success──► acked
 *       │                           ├──anything else, no answer in time──► nacked: back after its retry backoff
 *       └──switched off, resting────┴──cut at the end of the process──► released: back at once, not an attempt
 *
 * Messages of an ordering key stand in a *lane* and are sent one at a time, each after the one before it is acked. When
 * one fails those behind it go back with it; so they do when they have stood there for half of the lease's margin, because
 * their lease would not outlast their request.
 */
export class PushOutbox {
  readonly #parts: PushParts;
  readonly #switch: PushSwitch;
  readonly #share: PushShare = { requests: 0, bytes: 0 };
  readonly #lanes = new Map<string, Held[]>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #cut = new AbortController();
  #subscription: PushedSubscription;
  #target: PushTarget;
  #messages = 0;

  constructor(parts: PushParts, subscription: PushedSubscription, toLoop: PushSwitch) {
    this.#parts = parts;
    this.#switch = toLoop;
    setMaxListeners(0, this.#cut.signal); // one for each request under way; those are bounded
    this.#subscription = subscription;
    this.#target = new PushTarget(this.#parts);
  }

  /** What is under way goes on to where it was sent. */
  define(subscription: PushedSubscription): void {
    const moved = subscription.push.endpoint !== this.#subscription.push.endpoint;
    this.#subscription = subscription;
    if (moved) this.#target = new PushTarget(this.#parts);
  }

  get subscription(): PushedSubscription {
    return this.#subscription;
  }

  get messages(): number {
    return this.#messages;
  }

  /** Rest that the endpoint is given before the next request. */
  get restMs(): number {
    return this.#target.restMs;
  }

  /** How many messages may be leased now. */
  get room(): number {
    if (this.restMs > 0 || this.bytesRoom <= 0) return 0;
    const requests = this.#requestsMax - this.#share.requests;
    return Math.max(0, Math.min(requests, this.#parts.bounds.pushMessagesMax - this.#messages));
  }

  get bytesRoom(): number {
    return this.#parts.turns.bytesMax(this.#share) - this.#share.bytes;
  }

  get health(): PushHealth {
    return {
      endpoint: this.#subscription.push.endpoint,
      ...this.#target.seen,
      requestsOpen: this.#share.requests,
      requestsMax: this.#requestsMax,
      backOffMs: this.restMs,
    };
  }

  /** Sends what there is room for and gives the rest back. Never rejects. */
  async take(messages: readonly ReceivedMessage[]): Promise<void> {
    const leasedMs = this.#parts.clock();
    const arrived = messages.map((received) => ({ received, leasedMs }));
    const room = this.#switch.on() ? this.room : 0;
    for (const held of arrived) this.#hold(held);
    let started = 0;
    while (started < Math.min(room, arrived.length) && (await this.#start(arrived[started]!))) started++;
    await this.#giveBack(arrived.slice(started));
  }

  /** Ends what is under way; it goes back as it was. */
  cut(): void {
    this.#cut.abort();
  }

  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  get #requestsMax(): number {
    return Math.min(this.#target.requestsMax, this.#parts.turns.requestsMax(this.#share));
  }

  /** @returns false when it cannot be sent now */
  async #start(held: Held): Promise<boolean> {
    const { orderingKey } = held.received.message;
    const key = this.#subscription.enableMessageOrdering ? orderingKey : '';
    const lane = key === '' ? undefined : this.#lanes.get(key);
    if (lane) {
      lane.push(held);
      return true;
    }
    if (!(await this.#parts.turns.take(this.#share, this.#patienceMs))) return false;
    const queue = [held];
    if (key !== '') this.#lanes.set(key, queue);
    const sending = this.#send(queue, key).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
    return true;
  }

  /** Never rejects. */
  async #send(queue: Held[], key: string): Promise<void> {
    if (key === '') await this.#sendOne(queue);
    else await this.#sendLane(queue, key);
    await this.#giveBack(queue.splice(0));
    this.#switch.changed();
  }

  /** Its turn ends with the answer: another request may go out while this one's message is being acked. */
  async #sendOne(queue: Held[]): Promise<void> {
    const [held] = queue as [Held];
    const outcome = this.#maySend(held) ? await this.#push(held) : undefined;
    this.#parts.turns.give(this.#share);
    this.#switch.changed();
    if (!outcome) return;
    await this.#settle(held, outcome);
    this.#letGo(queue.shift()!);
  }

  /** One after the other, as long as each is acked. */
  async #sendLane(queue: Held[], key: string): Promise<void> {
    for (let held = queue[0]; held && this.#maySend(held); held = queue[0]) {
      const acked = await this.#settle(held, await this.#push(held));
      this.#letGo(queue.shift()!);
      if (!acked) break;
    }
    this.#lanes.delete(key);
    this.#parts.turns.give(this.#share);
  }

  #maySend({ leasedMs }: Held): boolean {
    return this.#switch.on() && this.restMs === 0 && this.#parts.clock() - leasedMs <= this.#patienceMs;
  }

  get #patienceMs(): number {
    return this.#parts.bounds.pushLeaseMarginMs / 2; // the other half is for the way from the lease to here
  }

  async #push({ received }: Held): Promise<PushOutcome> {
    const { clock, tally } = this.#parts;
    const subscription = this.#subscription;
    const learn = this.#target.sending(subscription);
    const sentMs = clock();
    const outcome = await this.#post(received, subscription);
    const latencyMs = clock() - sentMs;
    tally.pushed(outcome, latencyMs);
    if (learn(outcome, latencyMs)) this.#switch.resting();
    return outcome;
  }

  async #post(received: ReceivedMessage, { name, push, ackDeadlineMs }: PushedSubscription): Promise<PushOutcome> {
    const { tokens, sender, tally } = this.#parts;
    const { headers, body, leftOut } = pushedMessage(received, name, push);
    tally.leftOut(leftOut);
    try {
      const bearer = push.oidc && { authorization: `Bearer ${await tokens.token(push.oidc, push.endpoint)}` };
      const request = { endpoint: push.endpoint, headers: { ...headers, ...bearer }, body, timeoutMs: ackDeadlineMs };
      return await sender.send(request, this.#cut.signal);
    } catch (error) {
      return { class: 'internal', detail: `no token could be signed: ${String(error)}` };
    }
  }

  /** @returns whether it is acked */
  async #settle({ received: { ackId } }: Held, outcome: PushOutcome): Promise<boolean> {
    const { subscriber } = this.#parts;
    const { name } = this.#subscription;
    try {
      if (outcome.class === 'ack') await subscriber.acknowledge(name, [ackId]);
      else if (outcome.class === 'cut') await subscriber.release(name, [ackId]);
      else await subscriber.modifyAckDeadline(name, [ackId], 0);
      return outcome.class === 'ack';
    } catch (error) {
      this.#notSettled(error);
      return false;
    }
  }

  /** Never rejects. */
  async #giveBack(unsent: readonly Held[]): Promise<void> {
    if (unsent.length === 0) return;
    for (const held of unsent) this.#letGo(held);
    const ackIds = unsent.map(({ received }) => received.ackId);
    try {
      await this.#parts.subscriber.release(this.#subscription.name, ackIds);
    } catch (error) {
      this.#notSettled(error);
    }
  }

  /** It is due again at its deadline. */
  #notSettled(error: unknown): void {
    const { tally, logger } = this.#parts;
    tally.storeFailed();
    logger.debug({ subscription: this.#subscription.name, error: String(error) }, 'a pushed message was not settled');
  }

  #hold({ received }: Held): void {
    this.#messages++;
    this.#parts.turns.hold(this.#share, received.bytes);
  }

  #letGo({ received }: Held): void {
    this.#messages--;
    this.#parts.turns.letGo(this.#share, received.bytes);
  }
}
