import { setImmediate } from 'node:timers/promises';
import { hasExpired, type Message } from './message.ts';
import { decodeMessage } from './message-record.ts';
import { filterMatches } from './topic-rules.ts';

const scannedPerTurn = 256;

/** The last message per topic that was published with the retain flag: this node's copy of what the state holds. */
export class RetainedMessages {
  readonly #byTopic = new Map<string, Message>();
  /** Topics that have not come again since the state lost sight of the others. */
  #stale: Set<string> | undefined;

  onRetained(topic: string, record: Uint8Array | undefined): void {
    this.#stale?.delete(topic);
    // A copy: what came may be a view of something larger.
    if (record) this.#byTopic.set(topic, decodeMessage(Uint8Array.prototype.slice.call(record)));
    else this.#byTopic.delete(topic);
  }

  onReset(): void {
    this.#stale = new Set(this.#byTopic.keys());
  }

  onCurrent(): void {
    for (const topic of this.#stale ?? []) this.#byTopic.delete(topic);
    this.#stale = undefined;
  }

  /** Those that match the filter; gives way to others while it looks through many. */
  async *matching(filter: string, nowMs: number): AsyncGenerator<Message> {
    if (!/[+#]/.test(filter)) {
      const message = this.#byTopic.get(filter);
      if (message && !hasExpired(message, nowMs)) yield message;
      return;
    }
    let scanned = 0;
    for (const [topic, message] of this.#byTopic) {
      if (++scanned % scannedPerTurn === 0) await setImmediate();
      if (filterMatches(filter, topic) && !hasExpired(message, nowMs)) yield message;
    }
  }
}
