import { invalidArgument, PubSubError } from '../domain/errors.ts';
import type { AckResult, LeaseLimits, ReceivedMessage, Subscribe } from './pubsub.ts';
import type { Schedule } from './schedule.ts';
import type { StreamingPullBounds } from './streaming-pull-bounds.ts';
import type { StreamGroup } from './streaming-pull-group.ts';
import { StreamWindow } from './streaming-pull-window.ts';

/** What the first request of a stream asks for, besides the subscription. */
export interface StreamSettings {
  /** 10 s to 600 s; later requests may change it. */
  readonly ackDeadlineMs: number;
  /** Most messages and bytes that may be out; 0 or less: no limit of the client's own. */
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** google.pubsub.v1 StreamingPullResponse.SubscriptionProperties */
export interface SubscriptionProperties {
  readonly exactlyOnce: boolean;
  readonly ordered: boolean;
}

/** Ack ids by what became of them (AcknowledgeConfirmation, ModifyAckDeadlineConfirmation). */
export interface Confirmation {
  readonly ok: string[];
  readonly invalid: string[];
  readonly unordered: string[];
  /** The store did not answer: try again. */
  readonly failed: string[];
}

export interface StreamResponse {
  readonly messages?: readonly ReceivedMessage[];
  readonly acks?: Confirmation;
  readonly deadlines?: Confirmation;
  readonly properties: SubscriptionProperties;
}

/** The client's end of a stream, as its doorway gives it. */
export interface StreamOutlet {
  /** Resolves when the transport has passed it on and takes more, or will never do so. Never rejects. */
  send(response: StreamResponse): Promise<void>;
  /** Nothing is sent after it. @param error undefined: all is well */
  end(error: unknown): void;
}

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
      return sorted(ackIds, await settle());
    } catch (error) {
      if (error instanceof PubSubError && error.code === 'UNAVAILABLE') return { ...none(), failed: [...ackIds] };
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

const none = (): Confirmation => ({ ok: [], invalid: [], unordered: [], failed: [] });

function sorted(ackIds: readonly string[], results: readonly AckResult[]): Confirmation {
  const confirmation = none();
  ackIds.forEach((ackId, i) => {
    confirmation[results[i]!].push(ackId);
  });
  return confirmation;
}

function merged(confirmations: readonly Confirmation[]): Confirmation {
  const all = none();
  for (const each of confirmations) {
    for (const kind of ['ok', 'invalid', 'unordered', 'failed'] as const) all[kind].push(...each[kind]);
  }
  return all;
}

export function stopping(): PubSubError {
  return new PubSubError('UNAVAILABLE', 'The server is shutting down; open the stream again.');
}

function tooOld(): PubSubError {
  return new PubSubError('UNAVAILABLE', 'The stream has been open for as long as one may; open another.');
}
