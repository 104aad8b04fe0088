import type { DeviceUplink } from '../bridge/uplink.ts';
import type { MqttNode } from './node.ts';
import type { Pending, PendingOwner } from './pending.ts';
import type { Publish } from './publish-packet.ts';
import { costOf, type Window } from './window.ts';

export interface Qos0IntakeOptions {
  readonly node: MqttNode;
  readonly clientId: string;
  readonly device: DeviceUplink;
  readonly window: Window;
  /** Something was not stored. */
  readonly complain: (error: unknown) => void;
  /** There may be room for more. */
  readonly onRoom: () => void;
}

/**
 * The QoS 0 messages of one connection: to subscribers at once, to the store in the background. Nobody waits for them,
 * so what the store does not take, and what does not fit into the buffer that all connections share, is dropped and
 * counted. A connection that fills its own window is not read from meanwhile.
 */
export class Qos0Intake implements PendingOwner {
  readonly #options: Qos0IntakeOptions;

  constructor(options: Qos0IntakeOptions) {
    this.#options = options;
  }

  publish(publish: Publish): void {
    const { node, window, clientId } = this.#options;
    const bytes = costOf(publish);
    const message = node.fanOut.messageOf(publish, clientId);
    const accepted = this.#accept(publish, bytes);
    const audience = message && node.fanOut.address(message);
    const retained = audience && node.fanOut.keep(audience);
    if (accepted || retained) {
      const pending = node.pendings.take(this);
      pending.bytes = bytes;
      pending.parts = (accepted ? 1 : 0) + (retained ? 1 : 0);
      window.take(bytes);
      if (accepted) node.qos0Bytes += bytes;
      accepted?.then(pending.onStored, pending.onNotStored);
      retained?.then(pending.onKept, (error: unknown) => this.#onNotKept(pending, error));
    }
    if (audience) node.fanOut.deliver(audience);
  }

  onStored(pending: Pending): void {
    this.#options.node.qos0Bytes -= pending.bytes;
    this.#partDone(pending);
  }

  onNotStored(pending: Pending, error: unknown): void {
    this.#options.node.counters.dropped.qos0_not_stored++;
    this.#options.complain(error);
    this.onStored(pending);
  }

  onKept(pending: Pending): void {
    this.#partDone(pending);
  }

  #onNotKept(pending: Pending, error: unknown): void {
    this.#options.node.counters.dropped.retained_not_stored++;
    this.#options.complain(error);
    this.#partDone(pending);
  }

  #accept(publish: Publish, bytes: number): Promise<void> | undefined {
    const { node, device } = this.#options;
    // A topic that no route takes needs no room in the buffer; whether one does is known from the message before.
    if (publish.known.routed !== false && node.qos0Bytes + bytes > node.limits.qos0BytesMax) {
      node.counters.dropped.qos0_buffer_full++;
      return undefined;
    }
    const accepted = device.accept(publish);
    publish.known.routed = accepted !== undefined;
    return accepted;
  }

  #partDone(pending: Pending): void {
    if (--pending.parts > 0) return;
    this.#options.window.give(pending.bytes);
    this.#options.node.pendings.give(pending);
    this.#options.onRoom();
  }
}
