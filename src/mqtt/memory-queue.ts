import type { QueuedMessage, QueuePage } from '../store/store.ts';
import { publishOverheadBytes } from './limits.ts';
import type { SessionQueue } from './session-queue.ts';

interface Held {
  readonly message: Uint8Array;
  received: boolean;
}

/** The queue of a session that ends with its connection: bounded by bytes, and gone with the process. */
export class MemoryQueue implements SessionQueue {
  readonly #bytesMax: number;
  readonly #held = new Map<number, Held>(); // oldest first
  #last = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns false: there is no room. */
  add(message: Uint8Array): boolean {
    const bytes = message.length + publishOverheadBytes;
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    this.#held.set(++this.#last, { message, received: false });
    return true;
  }

  async read(after: number, messagesMax: number, bytesMax: number): Promise<QueuePage> {
    const messages: QueuedMessage[] = [];
    let bytes = 0;
    // Numbers are dense and settled mostly in order, so this starts where it has to, or close to it.
    for (let id = Math.max(after + 1, this.#first); id <= this.#last; id++) {
      const held = this.#held.get(id);
      if (!held) continue;
      bytes += held.message.length;
      if (messages.length === messagesMax || (messages.length > 0 && bytes > bytesMax)) return { messages, more: true };
      messages.push({ id, ...held });
    }
    return { messages, more: false };
  }

  async markReceived(id: number): Promise<void> {
    const held = this.#held.get(id);
    if (held) held.received = true;
  }

  settle(id: number): void {
    const held = this.#held.get(id);
    if (!held) return;
    this.#held.delete(id);
    this.#bytes -= held.message.length + publishOverheadBytes;
  }

  async close(): Promise<void> {}

  get #first(): number {
    return this.#held.keys().next().value ?? this.#last + 1;
  }
}
