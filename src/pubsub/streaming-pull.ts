import { invalidArgument, PubSubError } from '../domain/errors.ts';
import type { AckResult, LeaseLimits, ReceivedMessage, Subscribe } from './pubsub.ts';
import type { Schedule } from './schedule.ts';
import type { StreamingPullBounds } from './streaming-pull-bounds.ts';
import { type Confirmation, confirmationOf, failedConfirmation, merged } from './streaming-pull-confirmation.ts';
import type { StreamGroup } from './streaming-pull-group.ts';
import type { StreamOutlet, StreamResponse, StreamSettings } from './streaming-pull-outlet.ts';
import { StreamWindow } from './streaming-pull-window.ts';

interface Parts {
  readonly name: string;
  readonly group: StreamGroup;
  readonly subscriber: Subscribe;
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly random: () => number; // 0..1
  readonly bounds: StreamingPullBounds;
  /** Told why, once; undefined: the client was done or gone. */
  readonly ended: (error: unknown) => void;
}

/**
 * One StreamingPull.
 *
 *     leasing ──messages──► sending ──the transport took them──► window full? ──no──► leasing
 *        ▲                                                           │ yes
 *        └──────acked │ nacked │ deadline passed, on any door────── waiting
 *
 * One lease is asked for at a time and one response with messages is on its way at a time, so a client that does not
 * read holds back one response here and no more: what it has not taken is not leased. From any state the stream ends:
 * the client is done or gone, the subscription was deleted or detached, its age, the shutdown. What was leased and
 * never reached the transport is given back then; what was sent stays leased until its deadline, because clients ack
 * over other streams and calls as well.
 */
export class StreamingPull {
  readonly #parts: Parts;
  readonly #outlet: StreamOutlet;
  readonly #window: StreamWindow;
  readonly #abort = new AbortController();
  readonly #cancelAge: () => void;
  #ackDeadlineMs: number;
  #unsent: readonly ReceivedMessage[] = [];
  #ended = false;

  constructor(parts: Parts, settings: StreamSettings, outlet: StreamOutlet) {
    const { bounds, schedule, random } = parts;
    this.#parts = parts;
    this.#outlet = outlet;
    this.#ackDeadlineMs = settings.ackDeadlineMs;
    this.#window = new StreamWindow(withinBounds(settings, bounds));
    const ageMs = bounds.streamAgeMsMax * (0.9 + 0.2 * random());
    this.#cancelAge = schedule(ageMs, () => this.end(tooOld()));
  }

  /** Messages that are out. */
  get outstanding(): number {
    return this.#window.messages;
  }

  /** Hands out messages until the stream ends. Called once. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#parts.group.refresh();
      await this.heartbeat();
      while (!this.#ended) await this.#step();
    } catch (error) {
      this.end(error);
    }
  }

  /** An empty response: it shows that the stream lives, and what kind of subscription it is of. */
  heartbeat(): Promise<void> {
    return this.#ended ? Promise.resolve() : this.#send({});
  }

  /** From the next lease on. */
  set ackDeadlineMs(ackDeadlineMs: number) {
    this.#ackDeadlineMs = ackDeadlineMs;
  }

  /** Resolves once the acks are durable and, on an exactly-once subscription, confirmed. Never rejects: it ends the stream. */
  async acknowledge(ackIds: readonly string[]): Promise<void> {
    const { subscriber, name } = this.#parts;
    const acks = await this.#settle(ackIds, () => subscriber.acknowledge(name, ackIds));
    if (acks && this.#parts.group.properties.exactlyOnce) await this.#send({ acks });
  }

  /** As `acknowledge`. @param deadlines what each of some ack ids is to have from now on; 0 gives it back */
  async modifyAckDeadlines(deadlines: ReadonlyMap<number, readonly string[]>): Promise<void> {
    const { subscriber, name, group } = this.#parts;
    const settling = [...deadlines].map(([ackDeadlineMs, ackIds]) =>
      this.#settle(ackIds, () => subscriber.modifyAckDeadline(name, ackIds, ackDeadlineMs)),
    );
    const settled = (await Promise.all(settling)).filter((each) => each !== undefined);
    if (settled.length > 0 && group.properties.exactlyOnce) await this.#send({ deadlines: merged(settled) });
  }

  /** Ends it from this side; only the first call counts. @param error undefined: the client has said that it is done */
  end(error: unknown): void {
    if (this.#stop(error)) this.#outlet.end(error);
  }

  /** The client is gone, or has all that was sent: a response that the transport still had by then is given back. */
  cancel(): void {
    const { subscriber, name } = this.#parts;
    this.#stop(undefined);
    const unsent = this.#unsent.map(({ ackId }) => ackId);
    this.#unsent = [];
    if (unsent.length === 0) return;
    subscriber.release(name, unsent).catch(() => undefined); // then they are due again at their deadline
  }

  #stop(error: unknown): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#cancelAge();
    this.#abort.abort();
    this.#parts.group.leave(this, this.#window);
    this.#window.wake();
    this.#parts.ended(error);
    return true;
  }

  async #step(): Promise<void> {
    const { subscriber, name } = this.#parts;
    const room = this.#window.room;
    if (!room) return this.#waitForRoom();
    const ackDeadlineMs = this.#ackDeadlineMs;
    const messages = await subscriber.pull(name, { ...this.#share(room), ackDeadlineMs }, this.#abort.signal);
    if (messages.length > 0) await this.#deliver(messages, ackDeadlineMs);
    else if (!this.#ended) throw stopping(); // a pull that nobody called off comes back empty when the core closes
  }

  #share({ messagesMax, bytesMax }: LeaseLimits): LeaseLimits {
    const { group, bounds } = this.#parts;
    const share = group.streams.size > 1 ? bounds.sharedResponseMessagesMax : bounds.responseMessagesMax;
    return { messagesMax: Math.min(messagesMax, share), bytesMax: Math.min(bytesMax, bounds.responseBytesMax) };
  }

  async #deliver(messages: readonly ReceivedMessage[], ackDeadlineMs: number): Promise<void> {
    const { group, clock, subscriber, name } = this.#parts;
    if (this.#ended) {
      const ackIds = messages.map(({ ackId }) => ackId);
      return subscriber.release(name, ackIds).catch(() => undefined);
    }
    group.hold(messages, this.#window, clock() + ackDeadlineMs);
    this.#unsent = messages;
    await this.#send({ messages });
    this.#unsent = [];
  }

  async #waitForRoom(): Promise<void> {
    const { group, clock, schedule, bounds } = this.#parts;
    group.expire(clock());
    if (this.#window.room) return;
    const lookInMs = Math.max(group.expiryMs - clock(), bounds.expiryLookMs);
    await new Promise<void>((resolve) => {
      const cancel = schedule(lookInMs, resolve);
      this.#window.onRoom(() => {
        cancel();
        resolve();
      });
    });
  }

  /** @returns undefined when it ended the stream */
  async #settle(ackIds: readonly string[], settle: () => Promise<AckResult[]>): Promise<Confirmation | undefined> {
    try {
      return confirmationOf(ackIds, await settle());
    } catch (error) {
      if (error instanceof PubSubError && error.code === 'UNAVAILABLE') return failedConfirmation(ackIds);
      this.end(error);
      return undefined;
    }
  }

  #send(response: Omit<StreamResponse, 'properties'>): Promise<void> {
    return this.#outlet.send({ ...response, properties: this.#parts.group.properties });
  }
}

/** @throws INVALID_ARGUMENT google.pubsub.v1 StreamingPullRequest.stream_ack_deadline_seconds */
export function checkStreamAckDeadline(seconds: number): void {
  if (seconds >= 10 && seconds <= 600) return;
  throw invalidArgument(`stream_ack_deadline_seconds is ${seconds}; it must be between 10 and 600.`);
}

function withinBounds({ messagesMax, bytesMax }: StreamSettings, bounds: StreamingPullBounds): LeaseLimits {
  return {
    messagesMax: messagesMax > 0 ? Math.min(messagesMax, bounds.streamMessagesMax) : bounds.streamMessagesMax,
    bytesMax: bytesMax > 0 ? Math.min(bytesMax, bounds.streamBytesMax) : bounds.streamBytesMax,
  };
}

export function stopping(): PubSubError {
  return new PubSubError('UNAVAILABLE', 'The server is shutting down; open the stream again.');
}

function tooOld(): PubSubError {
  return new PubSubError('UNAVAILABLE', 'The stream has been open for as long as one may; open another.');
}
