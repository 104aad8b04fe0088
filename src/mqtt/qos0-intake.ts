import type { DeviceUplink } from '../bridge/uplink.ts';
import type { FanOut } from './fan-out.ts';
import type { MqttNode } from './node.ts';
import type { Pending, PendingOwner } from './pending.ts';
import type { Publish } from './publish-packet.ts';
import { costOf, type Window } from './window.ts';

export interface Qos0IntakeOptions {
  readonly node: MqttNode;
  readonly device: DeviceUplink;
  readonly fanOut: FanOut;
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
    const { node, fanOut, window } = this.#options;
    const bytes = costOf(publish);
    const message = fanOut.messageOf(publish);
    const accepted = this.#accept(publish, bytes);
    if (!accepted && !message) return;
    const pending = node.pendings.take(this);
    pending.bytes = bytes;
    pending.parts = (accepted ? 1 : 0) + (message ? 1 : 0);
    window.take(bytes);
    if (accepted) {
      node.qos0Bytes += bytes;
      accepted.then(pending.stored, pending.notStored);
    }
    if (message) fanOut.send(pending, message);
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

  onFannedOut(pending: Pending, error: Error | null | undefined): void {
    if (error) this.#options.node.counters.dropped.fan_out_failed++;
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
