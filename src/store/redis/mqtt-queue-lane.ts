import type { Link } from './link.ts';
import { loadScript } from './script.ts';

export interface QueueLaneOptions {
  readonly link: Link;
  readonly keys: readonly string[];
  /** Of the whole queue. */
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly wake: (node: string) => void;
  /** Nothing is under way any more. */
  readonly idle: () => void;
}

interface Waiting {
  readonly message: Buffer;
  readonly refused: () => void;
}

interface Round {
  readonly waiting: Waiting[];
  readonly done: Promise<void>;
}

const enqueue = loadScript('mqtt-enqueue');

/** What one call of the script takes, or one message. */
const callMessagesMax = 500;
const callBytesMax = 1_048_576;

/**
 * The way into the queue of one session: one call at a time, so that messages stay in order; what is appended meanwhile
 * goes together with the next. When a call fails, so does all that waits for it: nothing may overtake what its publisher
 * will send again. What waits is bounded by its callers: all of them wait for it.
 */
export class QueueLane {
  readonly #options: QueueLaneOptions;
  #next: Round | undefined;
  #running: Promise<void> | undefined;

  constructor(options: QueueLaneOptions) {
    this.#options = options;
  }

  /** @returns how many were not taken */
  async append(messages: readonly Buffer[]): Promise<number> {
    let refused = 0;
    const count = () => {
      refused++;
    };
    this.#next ??= this.#round();
    const { waiting, done } = this.#next;
    for (const message of messages) waiting.push({ message, refused: count });
    await done;
    return refused;
  }

  #round(): Round {
    const waiting: Waiting[] = [];
    const before = this.#running ?? Promise.resolve();
    const begun = () => {
      this.#next = undefined;
    };
    before.then(begun, begun);
    const done = before.then(() => this.#append(waiting));
    this.#running = done;
    const finished = () => {
      if (this.#running !== done) return;
      this.#running = undefined;
      this.#options.idle();
    };
    done.then(finished, finished);
    return { waiting, done };
  }

  async #append(waiting: readonly Waiting[]): Promise<void> {
    for (let at = 0; at < waiting.length; ) {
      const call = callFrom(waiting, at);
      await this.#send(call);
      at += call.length;
    }
  }

  async #send(call: readonly Waiting[]): Promise<void> {
    const { link, keys, messagesMax, bytesMax, wake } = this.#options;
    const args = [messagesMax, bytesMax, ...call.map(({ message }) => message)];
    const [node, refused] = (await link.run(enqueue, keys, args, { durable: true })) as [Buffer, number[]];
    for (const place of refused) call[place]!.refused();
    if (node.length > 0 && refused.length < call.length) wake(`${node}`);
  }
}

function callFrom(waiting: readonly Waiting[], at: number): readonly Waiting[] {
  let bytes = waiting[at]!.message.length;
  let end = at + 1;
  while (end < waiting.length && end - at < callMessagesMax) {
    bytes += waiting[end]!.message.length;
    if (bytes > callBytesMax) break;
    end++;
  }
  return waiting.slice(at, end);
}
