import type { QueuedMessage } from '../store/store.ts';
import { packetTypes } from './control-packets.ts';
import type { MqttCounters } from './counters.ts';
import { hasExpired, type Message } from './message.ts';
import { decodeMessage } from './message-record.ts';
import type { Outbox } from './outbox.ts';
import { type OutgoingWindow, packetIdOf } from './outgoing-window.ts';
import { publishHead } from './publish-head.ts';
import { ReadAhead } from './read-ahead.ts';
import { reasonCodes } from './refusal.ts';
import { pubrel } from './replies.ts';
import type { SessionQueue } from './session-queue.ts';

export interface SenderOptions {
  readonly outbox: Outbox;
  readonly counters: MqttCounters;
  readonly clock: () => number;
  readonly limits: SenderLimits;
  readonly version: number;
  /** MQTT 5 Maximum Packet Size of the client. */
  readonly packetBytesMax: number;
  readonly queue: SessionQueue;
  readonly window: OutgoingWindow;
  /** Up to this number the session's messages may have been sent before; undefined: nobody knows. */
  readonly sentUpTo: number | undefined;
  /** The state did not take what had to be durable. */
  readonly onFailure: (error: unknown) => void;
}

export interface SenderLimits {
  readonly outboundBytesMax: number;
  readonly unreadBytesMax: number;
  readonly outgoingMax: number;
  readonly readAheadBytesMax: number;
  readonly queueRetryMs: number;
}

/**
 * Sends one connected client what its session's queue holds, in order, and takes its acknowledgements.
 *
 *     queue ──read ahead──► waiting ──room in window and socket──► sent ──PUBACK, or PUBREC PUBREL PUBCOMP──► settled
 *
 * It never sends more than the client's window holds, nor while `unreadBytesMax` wait for the client's socket, so a
 * client that does not read or acknowledge costs a page of its queue and nothing else (I8). QoS 0 goes past the queue:
 * at once, or not at all if too much waits already.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #ahead: ReadAhead;
  #closed = false;
  #whenRoom: (() => void)[] = [];

  constructor(options: SenderOptions) {
    const { queue, limits, sentUpTo } = options;
    const { outgoingMax: messagesMax, readAheadBytesMax: bytesMax, queueRetryMs: retryMs } = limits;
    this.#options = options;
    this.#ahead = new ReadAhead({ queue, messagesMax, bytesMax, retryMs, sentUpTo, onReady: () => this.#pump() });
  }

  /** For the session's next connection; undefined: not known. */
  get sentUpTo(): number | undefined {
    return this.#ahead.sentUpTo;
  }

  /** Something new is in the queue. */
  wake(): void {
    this.#ahead.wake();
    this.#pump();
  }

  /** Resolves when the client has read and acknowledged enough for one more message, or is gone. */
  room(): Promise<void> {
    if (this.#closed || this.#mayAdd) return Promise.resolve();
    return new Promise((resolve) => this.#whenRoom.push(resolve));
  }

  /** The client reads. */
  drained(): void {
    this.#pump();
    this.#offerRoom();
  }

  /** A QoS 0 message. */
  deliver(message: Message): void {
    if (this.#closed) return;
    const { outbox, counters, limits, version, packetBytesMax, clock } = this.#options;
    const head = publishHead(message, { version, packetId: 0, dup: false, nowMs: clock() });
    const bytes = head.length + message.payload.length;
    if (bytes > packetBytesMax) counters.dropped.outbound_too_large++;
    else if (outbox.backlogBytes + bytes > limits.outboundBytesMax) counters.dropped.outbound_qos0++;
    else this.#write(head, message.payload);
  }

  /** PUBACK, PUBREC or PUBCOMP of the client. One that belongs to nothing is late, or answers an earlier connection. */
  acknowledge(type: number, packetId: number, reasonCode: number): void {
    const { window, queue } = this.#options;
    const outgoing = window.get(packetId);
    if (type === packetTypes.pubrec && (outgoing?.qos !== 2 || reasonCode < 0x80)) this.#release(packetId);
    else if (outgoing && ends(type, outgoing.qos, outgoing.step)) {
      window.delete(packetId);
      queue.settle(outgoing.id);
      this.#pump();
      this.#offerRoom();
    }
  }

  /** Resolves when everything that the client has acknowledged is known to the state. */
  close(): Promise<void> {
    this.#closed = true;
    this.#ahead.close();
    this.#offerRoom();
    return this.#options.queue.close();
  }

  get #hasRoom(): boolean {
    const { window, outbox, limits } = this.#options;
    return window.free > 0 && outbox.backlogBytes < limits.unreadBytesMax;
  }

  get #mayAdd(): boolean {
    const { outbox, queue, limits } = this.#options;
    return outbox.backlogBytes < limits.unreadBytesMax && queue.bytes < limits.outboundBytesMax / 2;
  }

  #offerRoom(): void {
    if (this.#whenRoom.length === 0 || !(this.#closed || this.#mayAdd)) return;
    for (const resume of this.#whenRoom.splice(0)) resume();
  }

  /** Sends what there is room for. */
  #pump(): void {
    while (!this.#closed && this.#hasRoom) {
      const queued = this.#ahead.peek();
      if (!queued || !this.#send(queued)) return;
      this.#ahead.advance();
    }
  }

  /** @returns false: its packet id is still in use. */
  #send({ id, message: record, received }: QueuedMessage): boolean {
    const { window, outbox, version, packetBytesMax, clock } = this.#options;
    const packetId = packetIdOf(id);
    if (window.get(packetId)) return false;
    if (received) {
      window.add(packetId, { id, qos: 2, step: 'released' });
      outbox.write(pubrel(packetId));
      return true;
    }
    const message = readable(record);
    if (!message) {
      this.#skip(id, 'unreadable');
      return true;
    }
    const nowMs = clock();
    const dup = this.#ahead.mayHaveBeenSent(id);
    const head = publishHead(message, { version, packetId, dup, nowMs });
    if (hasExpired(message, nowMs)) this.#skip(id, 'outbound_expired');
    else if (head.length + message.payload.length > packetBytesMax)
      this.#skip(id, 'outbound_too_large'); // MQTT-3.1.2-25
    else {
      window.add(packetId, { id, qos: message.qos, step: 'sent' });
      this.#ahead.sent(id);
      this.#write(head, message.payload);
    }
    return true;
  }

  #skip(id: number, reason: 'outbound_expired' | 'outbound_too_large' | 'unreadable'): void {
    this.#options.counters.dropped[reason]++;
    this.#options.queue.settle(id);
  }

  /** The release of an id that is not known completes it for the client; MQTT 5 can say so. */
  #release(packetId: number): void {
    const { window, queue, outbox, version, onFailure } = this.#options;
    const outgoing = window.get(packetId);
    if (outgoing?.qos !== 2) {
      outbox.write(pubrel(packetId, version === 5 ? reasonCodes.packetIdNotFound : 0));
    } else if (outgoing.step === 'released') {
      outbox.write(pubrel(packetId));
    } else if (outgoing.step === 'sent') {
      outgoing.step = 'received';
      queue.markReceived(outgoing.id).then(() => {
        outgoing.step = 'released';
        if (!this.#closed) outbox.write(pubrel(packetId));
      }, onFailure);
    }
  }

  #write(head: Buffer, payload: Uint8Array): void {
    const { outbox, counters } = this.#options;
    counters.delivered++;
    outbox.write(head);
    if (payload.length > 0) outbox.write(payload);
  }
}

/** Another node may run a newer Headwater. */
function readable(record: Uint8Array): Message | undefined {
  try {
    return decodeMessage(record);
  } catch {
    return undefined;
  }
}

/** PUBACK for QoS 1; PUBCOMP for what was released; and a PUBREC that refuses ends QoS 2 as well (MQTT5 §4.3.3). */
function ends(type: number, qos: number, step: string): boolean {
  if (type === packetTypes.puback) return qos === 1;
  return qos === 2 && (type === packetTypes.pubrec || step === 'released');
}
