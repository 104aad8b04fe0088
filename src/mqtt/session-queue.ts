import type { MqttState, QueuePage } from '../store/store.ts';

/** What has to reach one session at QoS 1 or 2; see `MqttState` for numbers and order. */
export interface SessionQueue {
  /** What it holds in memory. */
  readonly bytes: number;
  read(after: number, messagesMax: number, bytesMax: number): Promise<QueuePage>;
  /** Durable on return, as far as the session is. */
  markReceived(id: number): Promise<void>;
  /** The client has acknowledged it for good. */
  settle(id: number): void;
  /** Resolves when what was settled is known to the state, as far as that can be reached. */
  close(): Promise<void>;
}

/**
 * The queue of a kept session, in the state. Settlements of one turn of the event loop travel together, and those that
 * come while some are on their way wait for each other. One that fails is tried again with the next; what stays unsettled
 * is sent again to the client's next connection, as MQTT allows.
 */
export class KeptQueue implements SessionQueue {
  readonly bytes = 0;
  readonly #state: MqttState;
  readonly #sessionId: string;
  #settled: number[] = []; // bounded by the queue itself
  #settling: Promise<void> | undefined;

  constructor(state: MqttState, sessionId: string) {
    this.#state = state;
    this.#sessionId = sessionId;
  }

  read(after: number, messagesMax: number, bytesMax: number): Promise<QueuePage> {
    return this.#state.queued(this.#sessionId, after, messagesMax, bytesMax);
  }

  markReceived(id: number): Promise<void> {
    return this.#state.markReceived(this.#sessionId, id);
  }

  settle(id: number): void {
    this.#settled.push(id);
    this.#settling ??= this.#settle();
  }

  async close(): Promise<void> {
    await this.#settling;
    if (this.#settled.length > 0) await this.#settle();
  }

  async #settle(): Promise<void> {
    await new Promise(setImmediate);
    let failed = false;
    while (this.#settled.length > 0 && !failed) {
      const ids = this.#settled;
      this.#settled = [];
      try {
        await this.#state.settle(this.#sessionId, ids);
      } catch {
        this.#settled = ids.concat(this.#settled);
        failed = true;
      }
    }
    this.#settling = undefined;
  }
}
