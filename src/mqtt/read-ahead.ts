import type { QueuedMessage } from '../store/store.ts';
import type { SessionQueue } from './session-queue.ts';

export interface ReadAheadOptions {
  readonly queue: SessionQueue;
  /** Of one reading. */
  readonly messagesMax: number;
  readonly bytesMax: number;
  /** When a queue that could not be read is tried again. */
  readonly retryMs: number;
  /** See `ConnectGrant`. */
  readonly sentUpTo: number | undefined;
  /** `peek` may have something. */
  readonly onReady: () => void;
}

/** Goes through a session's queue, a page at a time, and knows which of its messages may have been sent before. */
export class ReadAhead {
  readonly #options: ReadAheadOptions;
  #page: readonly QueuedMessage[] = [];
  #next = 0; // index in `#page`
  #readTo = 0; // number of the last message that was read
  #messagesRead = 0;
  #more = true; // there may be something behind `#readTo`
  #reading = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #sentUpTo: number | undefined;

  constructor(options: ReadAheadOptions) {
    this.#options = options;
    this.#sentUpTo = options.sentUpTo;
  }

  /** Up to here messages may have been sent; undefined: not known. */
  get sentUpTo(): number | undefined {
    return this.#sentUpTo;
  }

  mayHaveBeenSent(id: number): boolean {
    return this.#sentUpTo === undefined || id <= this.#sentUpTo;
  }

  sent(id: number): void {
    if (!this.mayHaveBeenSent(id)) this.#sentUpTo = id;
  }

  /** Something new is in the queue. */
  wake(): void {
    this.#more = true;
  }

  /** The next message; undefined: there is none, or it is being read. */
  peek(): QueuedMessage | undefined {
    const next = this.#page[this.#next];
    if (!next) this.#read();
    return next;
  }

  /** The message that `peek` gave is dealt with. */
  advance(): void {
    this.#next++;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  #read(): void {
    if (this.#reading || !this.#more || this.#closed) return;
    const { queue, messagesMax, bytesMax } = this.#options;
    this.#reading = true;
    this.#more = false;
    queue.read(this.#readTo, messagesMax, bytesMax).then(
      ({ messages, more }) => this.#onRead(messages, more),
      () => this.#readLater(),
    );
  }

  #onRead(messages: readonly QueuedMessage[], more: boolean): void {
    this.#reading = false;
    this.#page = messages;
    this.#next = 0;
    this.#readTo = messages.at(-1)?.id ?? this.#readTo;
    this.#messagesRead += messages.length;
    // Messages leave in order, so those that were sent are the oldest: of a connection that left no word, at most a window.
    if (!more || this.#messagesRead >= this.#options.messagesMax) this.#sentUpTo ??= this.#readTo;
    this.#more ||= more;
    if (messages.length > 0 || this.#more) this.#options.onReady();
  }

  #readLater(): void {
    this.#reading = false;
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.wake();
      this.#options.onReady();
    }, this.#options.retryMs);
  }
}
