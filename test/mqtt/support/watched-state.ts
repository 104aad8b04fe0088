import type {
  ConnectGrant,
  ConnectionRef,
  ConnectRequest,
  Departure,
  Held,
  MqttState,
  MqttStateCounters,
  MqttStateEvents,
  QueueEntry,
  QueuePage,
  SubscriptionChanges,
  TakenWill,
} from '../../../src/store/store.ts';

/** The state, with a look at every write before it is made. */
export class WatchedState implements MqttState {
  readonly #state: MqttState;
  readonly #beforeWrite: () => Promise<void>;
  readonly #onSwept: () => void;

  constructor(state: MqttState, beforeWrite: () => Promise<void>, onSwept: () => void) {
    this.#state = state;
    this.#beforeWrite = beforeWrite;
    this.#onSwept = onSwept;
  }

  get node(): string {
    return this.#state.node;
  }

  open(events: MqttStateEvents): Promise<void> {
    return this.#state.open(events);
  }

  async connect(request: ConnectRequest): Promise<ConnectGrant> {
    await this.#beforeWrite();
    return this.#state.connect(request);
  }

  async disconnect(connection: ConnectionRef, departure: Departure): Promise<TakenWill | undefined> {
    await this.#beforeWrite();
    return this.#state.disconnect(connection, departure);
  }

  async subscribe(connection: ConnectionRef, changes: SubscriptionChanges): Promise<Held> {
    await this.#beforeWrite();
    return this.#state.subscribe(connection, changes);
  }

  async willSent(will: TakenWill): Promise<void> {
    await this.#beforeWrite();
    await this.#state.willSent(will);
  }

  async sweep(): Promise<TakenWill[]> {
    try {
      return await this.#state.sweep();
    } finally {
      this.#onSwept();
    }
  }

  async enqueue(entries: readonly QueueEntry[]): Promise<number> {
    await this.#beforeWrite();
    return this.#state.enqueue(entries);
  }

  queued(sessionId: string, after: number, messagesMax: number, bytesMax: number): Promise<QueuePage> {
    return this.#state.queued(sessionId, after, messagesMax, bytesMax);
  }

  async markReceived(sessionId: string, id: number): Promise<void> {
    await this.#beforeWrite();
    await this.#state.markReceived(sessionId, id);
  }

  async settle(sessionId: string, ids: readonly number[]): Promise<void> {
    await this.#beforeWrite();
    await this.#state.settle(sessionId, ids);
  }

  async retain(topic: string, message: Uint8Array | undefined): Promise<boolean> {
    await this.#beforeWrite();
    return this.#state.retain(topic, message);
  }

  forward(nodes: readonly string[], message: Uint8Array): void {
    this.#state.forward(nodes, message);
  }

  counters(): MqttStateCounters {
    return this.#state.counters();
  }

  close(): Promise<void> {
    return this.#state.close();
  }
}
