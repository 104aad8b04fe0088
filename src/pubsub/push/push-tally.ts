import type { PushOutcome, ResponseClass } from './push-sender.ts';

/** What this node's pushes came to, since it started. */
export class PushTally {
  readonly #pushes: Record<ResponseClass, number> = {
    ack: 0,
    deadline_exceeded: 0,
    invalid: 0,
    remote_server_4xx: 0,
    remote_server_5xx: 0,
    unreachable: 0,
    internal: 0,
    denied: 0,
    cut: 0,
  };
  #latencyMs = 0;
  #attributesLeftOut = 0;
  #storeFailures = 0;

  counters() {
    const pushes = this.#pushes;
    return {
      pushesAcked: pushes.ack,
      pushesDeadlineExceeded: pushes.deadline_exceeded,
      pushesInvalid: pushes.invalid,
      pushesRemoteServer4xx: pushes.remote_server_4xx,
      pushesRemoteServer5xx: pushes.remote_server_5xx,
      pushesUnreachable: pushes.unreachable,
      pushesInternal: pushes.internal,
      pushesDenied: pushes.denied,
      pushesCut: pushes.cut,
      /** From sending to the outcome, summed. */
      pushLatencyMs: this.#latencyMs,
      /** Attributes that could not be headers of an unwrapped message. */
      pushAttributesLeftOut: this.#attributesLeftOut,
      /** Leases, acks and nacks that the store did not take; the messages are pushed again. */
      pushStoreFailures: this.#storeFailures,
    };
  }

  pushed(outcome: PushOutcome, latencyMs: number): void {
    this.#pushes[outcome.class]++;
    this.#latencyMs += latencyMs;
  }

  leftOut(attributes: number): void {
    this.#attributesLeftOut += attributes;
  }

  storeFailed(): void {
    this.#storeFailures++;
  }
}
