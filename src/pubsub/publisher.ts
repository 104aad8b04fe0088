import { invalidArgument, PubSubError } from '../domain/errors.ts';
import { encodeRecord, type Message, messageIdOf, messagesPerPublishMax, publishBytesMax } from '../domain/message.ts';
import type { LogRef, Store } from '../store/store.ts';
import type { Publish } from './pubsub.ts';
import { noTopic } from './refusals.ts';
import type { TopicHandle, TopicHandles } from './topic-handles.ts';

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
  #messages = 0;
  #failures = 0;
  #refused = 0;

  constructor(store: Store, topics: TopicHandles) {
    this.#store = store;
    this.#topics = topics;
  }

  counters() {
    return {
      publishedMessages: this.#messages,
      publishFailures: this.#failures,
      publishesRefused: this.#refused,
      ...this.#topics.counters(),
    };
  }

  async publish(topic: string, messages: readonly Message[]): Promise<string[]> {
    const records = this.#checked(() => encodeAll(messages));
    const { orderingKey } = messages[0]!;
    return this.#topics.use(topic, async (handle) => {
      const log = logFor(handle, orderingKey, undefined);
      const failed = (error: unknown) => this.#failed(handle, error);
      const { firstOffset } = await this.#store.append(log, records).catch(failed);
      this.#messages += records.length;
      return records.map((_, index) => messageIdOf(log.partition, firstOffset + index));
    });
  }

  publishOne(topic: string, message: Message, dedupe?: string): Promise<void> {
    try {
      const record = this.#checked(() => encodeOne(message));
      return this.#publishRecord(topic, record, message.orderingKey, dedupe);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Publishes what was published before, with a few attributes more: its size is not held against it again. */
  async republish(topic: string, message: Message, dedupe: string): Promise<void> {
    await this.#publishRecord(topic, encodeRecord(message), message.orderingKey, dedupe);
  }

  async forget(
    dedupe: string,
    at: { readonly topic: string; readonly orderingKey: string } | undefined,
  ): Promise<void> {
    if (!at) return this.#store.forget(undefined, [dedupe]);
    const forget = (handle: TopicHandle) => this.#store.forget(logFor(handle, at.orderingKey, dedupe), [dedupe]);
    await this.#topics.use(at.topic, forget).catch((error: unknown) => {
      if (!isNotFound(error)) throw error; // a topic that is gone has taken its keys along
    });
  }

  /** The record is made before any wait: the message may be a view into a socket's buffer. */
  #publishRecord(topic: string, record: Uint8Array, orderingKey: string, dedupe: string | undefined): Promise<void> {
    const append = (handle: TopicHandle) =>
      this.#store
        .append(logFor(handle, orderingKey, dedupe), [record], dedupe)
        .then(this.#countOne, (error: unknown) => this.#failed(handle, error));
    const handle = this.#topics.known(topic);
    return handle ? append(handle) : this.#topics.use(topic, append);
  }

  #countOne = (): void => {
    this.#messages++;
  };

  #checked<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      this.#refused++;
      throw error;
    }
  }

  /** NOT_FOUND of the log: the topic was deleted, perhaps made anew, since its handle was read. */
  #failed({ topic }: TopicHandle, error: unknown): never {
    this.#failures++;
    if (!isNotFound(error)) throw error;
    this.#topics.forget(topic);
    throw noTopic(topic);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof PubSubError && error.code === 'NOT_FOUND';
}

function logFor(handle: TopicHandle, orderingKey: string, dedupe: string | undefined): LogRef {
  const { logs } = handle;
  if (logs.length === 1) return logs[0]!;
  const key = orderingKey === '' ? dedupe : orderingKey;
  if (key !== undefined) return logs[hash(key) % logs.length]!;
  handle.nextPartition = (handle.nextPartition + 1) % logs.length;
  return logs[handle.nextPartition]!;
}

/** FNV-1a over UTF-16 code units; it decides where keys live, so it must never change. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state >>> 0;
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
