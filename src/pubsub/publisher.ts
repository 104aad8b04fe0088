import { invalidArgument, PubSubError } from '../domain/errors.ts';
import { encodeRecord, type Message, messageIdOf, messagesPerPublishMax, publishBytesMax } from '../domain/message.ts';
import type { Store } from '../store/store.ts';
import { publishCall } from './publish-call.ts';
import type { Publish } from './pubsub.ts';
import type { TopicHandles } from './topic-handles.ts';

/**
 * The one way into the log. A message with an ordering key goes to the partition of the key; one with a dedupe key to
 * the partition of that, so that a repetition meets the first; any other to the next partition in turn.
 *
 * All messages of one `publish` go to one partition, so they are stored all or not at all. That is why they must share
 * one ordering key, as google.pubsub.v1 PubsubMessage.ordering_key asks: "All PubsubMessages published in a given
 * PublishRequest must specify the same ordering_key value."
 */
export class Publisher implements Publish {
  readonly #store: Store;
  readonly #topics: TopicHandles;
  #refused = 0;

  constructor(store: Store, topics: TopicHandles) {
    this.#store = store;
    this.#topics = topics;
  }

  counters() {
    return { publishesRefused: this.#refused, ...this.#topics.counters() };
  }

  async publish(topic: string, messages: readonly Message[]): Promise<string[]> {
    const records = this.#checked(() => encodeAll(messages));
    const call = publishCall(records, messages[0]!.orderingKey, undefined);
    await this.#topics.append(topic, call);
    return records.map((_, index) => messageIdOf(call.partition, call.firstOffset + index));
  }

  /** The record is made before any wait: the message may be a view into a socket's buffer. */
  publishOne(topic: string, message: Message, dedupe?: string): Promise<void> {
    try {
      const record = this.#checked(() => encodeOne(message));
      return this.#topics.append(topic, publishCall([record], message.orderingKey, dedupe));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Publishes what was published before, with a few attributes more: its size is not held against it again. */
  async republish(topic: string, message: Message, dedupe: string): Promise<void> {
    await this.#topics.append(topic, publishCall([encodeRecord(message)], message.orderingKey, dedupe));
  }

  async forget(
    dedupe: string,
    at: { readonly topic: string; readonly orderingKey: string } | undefined,
  ): Promise<void> {
    if (!at) return this.#store.forget(undefined, [dedupe]);
    try {
      const logs = await this.#topics.logsOf(at.topic, at.orderingKey === '' ? dedupe : at.orderingKey);
      await Promise.all(logs.map((log) => this.#store.forget(log, [dedupe])));
    } catch (error) {
      // A topic that is gone has taken its keys along.
      if (!(error instanceof PubSubError && error.code === 'NOT_FOUND')) throw error;
    }
  }

  #checked<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      this.#refused++;
      throw error;
    }
  }
}

function encodeAll(messages: readonly Message[]): Buffer[] {
  if (messages.length === 0) throw invalidArgument('The publish has no messages; send at least one.');
  if (messages.length > messagesPerPublishMax) {
    throw invalidArgument(`The publish has ${messages.length} messages; at most ${messagesPerPublishMax} are allowed.`);
  }
  const records = messages.map((message, index) => encodeNth(message, index, messages));
  checkBytes(records.reduce((bytes, record) => bytes + record.length, 0));
  return records;
}

function encodeNth(message: Message, index: number, messages: readonly Message[]): Buffer {
  if (message.orderingKey !== messages[0]!.orderingKey) {
    throw invalidArgument(
      `Message ${index + 1} has another ordering key than message 1; publish messages of different keys in requests of their own.`,
    );
  }
  try {
    return encodeRecord(message);
  } catch (error) {
    if (!(error instanceof PubSubError) || messages.length === 1) throw error;
    throw new PubSubError(error.code, `Message ${index + 1}: ${error.message}`, { cause: error });
  }
}

function encodeOne(message: Message): Buffer {
  const record = encodeRecord(message);
  checkBytes(record.length);
  return record;
}

function checkBytes(bytes: number): void {
  if (bytes <= publishBytesMax) return;
  throw invalidArgument(
    `The publish has ${bytes} bytes of data, attributes and keys; at most ${publishBytesMax} are allowed: split it.`,
  );
}
