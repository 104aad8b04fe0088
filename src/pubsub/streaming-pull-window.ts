import type { LeaseLimits } from './pubsub.ts';

/**
 * What one stream may have out: messages that were sent on it and are neither settled nor past their deadline. As in
 * google.pubsub.v1 StreamingPullRequest.max_outstanding_bytes, sending goes on while what is out is *below* the limit,
 * so one message may pass the limit in bytes; never the one in messages.
 */
export class StreamWindow {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #messages = 0;
  #bytes = 0;
  #onRoom: (() => void) | undefined;

  constructor({ messagesMax, bytesMax }: LeaseLimits) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get messages(): number {
    return this.#messages;
  }

  /** How much may be sent now; undefined when it is full. */
  get room(): LeaseLimits | undefined {
    const messagesMax = this.#messagesMax - this.#messages;
    const bytesMax = this.#bytesMax - this.#bytes;
    return messagesMax > 0 && bytesMax > 0 ? { messagesMax, bytesMax } : undefined;
  }

  take(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    if (this.#onRoom && this.room) this.wake();
  }

  /** Calls `act` once, when there is room again or `wake` is called. */
  onRoom(act: () => void): void {
    this.#onRoom = act;
  }

  wake(): void {
    const act = this.#onRoom;
    this.#onRoom = undefined;
    act?.();
  }
}
