import type { AckId } from '../domain/ack-id.ts';
import { checkDuration } from '../domain/duration.ts';
import { invalidArgument } from '../domain/errors.ts';
import { ackDeadlineMsMax } from '../domain/subscription.ts';
import type { NackOptions, Store, StoredSubscription, SubscriptionPartition } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Settle, settleAckIds } from './acknowledgements.ts';
import type { PubSubBounds } from './bounds.ts';
import { DeadLetterSweep } from './dead-letter-sweep.ts';
import type { DeadLetters } from './dead-letters.ts';
import { LogReader } from './log-reader.ts';
import type { Delivery } from './partition-leases.ts';
import type { AckResult, LeaseLimits, ReceivedMessage, Subscribe } from './pubsub.ts';
import { Receiver } from './receiver.ts';
import { isDetached, isPushed } from './refusals.ts';
import type { Schedule } from './schedule.ts';
import { SubscriptionHandle } from './subscription-handle.ts';
import { SubscriptionHandles } from './subscription-handles.ts';
import { WaitingPulls } from './waiting-pulls.ts';

export interface SubscriberOptions {
  readonly store: Store;
  readonly deadLetters: DeadLetters;
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly bounds: PubSubBounds;
}

/** The one way out of the log: what pull, streaming pull, push and downlink are made of. */
export class Subscriber implements Subscribe {
  readonly #options: SubscriberOptions;
  readonly #reader: LogReader;
  readonly #handles: SubscriptionHandles;
  readonly #receiver: Receiver;
  readonly #sweep: DeadLetterSweep;
  #closed = false;
  #delivered = 0;
  #acked = 0;
  #nacked = 0;
  #released = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { store, bounds } = options;
    this.#reader = new LogReader(store, bounds);
    this.#handles = new SubscriptionHandles(store, (stored) => this.#makeHandle(stored), bounds.subscriptionHandlesMax);
    this.#receiver = new Receiver({
      ...options,
      attached: (name, limits) => this.#attached(name, limits),
      handedOut: (handle, deliveries) => this.#handedOut(handle, deliveries),
    });
    this.#sweep = new DeadLetterSweep({ ...options, handles: this.#handles });
  }

  counters() {
    return {
      deliveredMessages: this.#delivered,
      ackedMessages: this.#acked,
      nackedMessages: this.#nacked,
      releasedMessages: this.#released,
      ...this.#handles.counters(),
      ...this.#reader.counters(),
    };
  }

  async lease(subscription: string, limits: LeaseLimits): Promise<ReceivedMessage[]> {
    checkLimits(limits);
    return (await this.#receiver.receive(subscription, limits, () => true)).messages;
  }

  async pull(subscription: string, limits: LeaseLimits, signal: AbortSignal): Promise<ReceivedMessage[]> {
    checkLimits(limits);
    const { pulls } = await this.#attached(subscription, limits);
    return this.#closed ? [] : pulls.pull(limits, signal);
  }

  async acknowledge(subscription: string, ackIds: readonly string[]): Promise<AckResult[]> {
    const handle = await this.#used(subscription);
    const { enableExactlyOnceDelivery: strict, enableMessageOrdering } = handle.definition.subscription;
    const results = await this.#settle(handle, ackIds, (at, refs) => this.#options.store.ack(at, refs, { strict }));
    this.#acked += ackIds.length;
    if (enableMessageOrdering) handle.pulls.wake(); // the next messages of their keys may go out now
    return results;
  }

  async modifyAckDeadline(
    subscription: string,
    ackIds: readonly string[],
    ackDeadlineMs: number,
  ): Promise<AckResult[]> {
    checkDuration('ack_deadline_seconds', ackDeadlineMs, 0, ackDeadlineMsMax);
    const handle = await this.#used(subscription);
    if (ackDeadlineMs === 0) return this.#nack(handle, ackIds);
    const { enableExactlyOnceDelivery: strict } = handle.definition.subscription;
    return this.#settle(handle, ackIds, (at, refs) =>
      this.#options.store.modifyDeadline(at, refs, ackDeadlineMs, { strict }),
    );
  }

  async release(subscription: string, ackIds: readonly string[]): Promise<void> {
    const handle = await this.#handles.get(subscription);
    const options: NackOptions = { strict: false, retry: undefined, counted: false };
    await this.#settle(handle, ackIds, (at, refs) => this.#options.store.nack(at, refs, options));
    this.#released += ackIds.length;
    handle.pulls.wake();
  }

  /** Something may be there for the pulls that wait on this subscription. */
  wake(subscription: string): void {
    this.#handles.known(subscription)?.pulls.wake();
  }

  /** Forwards every spent message that is due. The sweep does so by itself, in time; this does it now. */
  sweepDeadLetters(): Promise<void> {
    return this.#sweep.sweepOnce();
  }

  /** Waiting pulls are answered with nothing. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#handles.close(), this.#sweep.close()]);
  }

  /** A message on its last attempt does not rest before it goes to the dead letter topic. */
  async #nack(handle: SubscriptionHandle, ackIds: readonly string[]): Promise<AckResult[]> {
    const { enableExactlyOnceDelivery: strict, retry, deadLetter } = handle.definition.subscription;
    let spent = false;
    const nack = (at: SubscriptionPartition, refs: readonly AckId[], lastAttempt: boolean) => {
      spent ||= lastAttempt;
      const options = { strict, retry: lastAttempt ? undefined : retry, counted: true };
      return this.#options.store.nack(at, refs, options);
    };
    const results = await this.#settle(handle, ackIds, nack, deadLetter?.deliveryAttemptsMax);
    this.#nacked += ackIds.length;
    if (spent) this.#sweep.lookNow(handle.name);
    handle.pulls.wake();
    return results;
  }

  #settle({ name, definition }: SubscriptionHandle, ackIds: readonly string[], settle: Settle, attemptsMax?: number) {
    const newest = async () => (await this.#handles.renewed(name)).definition;
    return settleAckIds({ definition, newest, ackIds, settle, ...(attemptsMax && { attemptsMax }) });
  }

  #handedOut(handle: SubscriptionHandle, deliveries: readonly Delivery[]): void {
    this.#delivered += deliveries.length;
    this.#sweep.watch(handle, deliveries);
  }

  async #attached(name: string, { forPush = false }: LeaseLimits): Promise<SubscriptionHandle> {
    const handle = await this.#used(name);
    const { detached, push } = handle.definition.subscription;
    if (detached) throw isDetached(name);
    if (push && !forPush) throw isPushed(name);
    return handle;
  }

  /** Notes now and then that the subscription is in use, so that it does not expire. */
  async #used(name: string): Promise<SubscriptionHandle> {
    const handle = await this.#handles.get(name);
    const { store, clock, bounds, logger } = this.#options;
    const nowMs = clock();
    if (Math.abs(nowMs - handle.touchedMs) < bounds.touchMs) return handle; // it may have been another node, by its clock
    handle.touchedMs = nowMs;
    const noted = store.nowMs().then((activeMs) => store.touchSubscription(name, activeMs));
    noted.catch((error: unknown) => {
      logger.warn({ subscription: name, error: String(error) }, 'that a subscription is in use could not be noted');
    });
    return handle;
  }

  #makeHandle(stored: StoredSubscription): SubscriptionHandle {
    const { store, bounds } = this.#options;
    const gaveBack = (messages: number) => {
      this.#released += messages;
    };
    const parts = { store, bounds, reader: this.#reader, gaveBack };
    return new SubscriptionHandle(stored, parts, (handle) => this.#waitingPulls(handle));
  }

  #waitingPulls(handle: SubscriptionHandle): WaitingPulls {
    const { clock, schedule, bounds } = this.#options;
    return new WaitingPulls({
      ...bounds,
      clock,
      schedule,
      random: Math.random,
      lease: (limits, wanted) => this.#receiver.receive(handle.name, limits, wanted),
      release: (messages) => this.#giveBack(handle.name, messages),
      watch: (wake) => handle.watch(wake),
    });
  }

  /** The caller of a pull has gone while its messages were being leased. */
  async #giveBack(name: string, messages: readonly ReceivedMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const ackIds = messages.map(({ ackId }) => ackId);
    await this.release(name, ackIds).catch(() => undefined); // then they are due again at their deadline
  }
}

function checkLimits({ messagesMax }: LeaseLimits): void {
  if (Number.isInteger(messagesMax) && messagesMax >= 1) return;
  throw invalidArgument(`max_messages is ${messagesMax}; it must be at least 1.`);
}
