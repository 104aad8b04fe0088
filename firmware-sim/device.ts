import type { IConnackPacket, Packet } from 'mqtt-packet';
import type { Backoff } from './backoff.ts';
import { Conversation, type ConversationOptions } from './conversation.ts';
import type { Cut, CutPoint } from './faults.ts';
import { Link, type LinkOptions } from './link.ts';
import type { PayloadStream } from './payload.ts';
import { endSession } from './session-end.ts';

/**
 * A simulated device: it takes a reading when one is due, keeps what it cannot send, and sends it in order when it can.
 *
 * READINGS wait in the offline buffer while the link is down or the window is full. Since a payload depends on nothing but
 * the plan (payload.ts), the buffer is no more than the count of readings taken and not yet sent; the bytes are made when
 * a reading leaves. At its bound the oldest reading is dropped and counted.
 *
 * THE LINK, when lost, is opened again after a backoff, after a planned absence (an injected cut), or at once (a storm).
 * What the session holds goes out first, then the buffer: nothing overtakes (MQTT-4.6.0-1).
 */
export class Device {
  readonly #options: DeviceOptions;
  readonly #link: Link;
  readonly #conversation: Conversation;
  #takenSeq = 0; // last reading taken
  #sentSeq = 0; // last reading sent or dropped
  #connectionSeq = 0; // last reading before this connection
  #wasConnected = false;
  #closing = false;
  #openAtMs: number | undefined;
  #armed: Cut | undefined;
  #linkProblem = '';

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#link = new Link(options.link, {
      onUp: (connack) => this.#onUp(connack),
      onPacket: (packet) => this.#onPacket(packet),
      onWritable: () => this.#pump(),
      onDown: (reason) => this.#onDown(reason),
    });
    this.#conversation = new Conversation(options, {
      send: (packets) => this.#link.send(packets),
      passes: (point) => this.#passes(point),
    });
  }

  get online(): boolean {
    return this.#link.state === 'up';
  }

  get connecting(): boolean {
    return this.#link.state === 'connecting';
  }

  /** What went wrong last; empty when nothing did. */
  get lastProblem(): string {
    return this.#conversation.refusal || this.#linkProblem;
  }

  /** Readings that wait and messages that are not finished. */
  get pending(): number {
    return this.#takenSeq - this.#sentSeq + this.#conversation.unfinished;
  }

  open(): void {
    this.#openAtMs = undefined;
    this.#link.open(this.#options.qos === 0, this.#options.now()); // QoS 0 needs no session
  }

  /** A reading is due. */
  take(): void {
    this.#takenSeq += 1;
    if (this.#takenSeq - this.#sentSeq > this.#options.offlineBufferMax) {
      this.#options.payloads.next();
      this.#sentSeq += 1;
      this.#options.counters.bufferDrops += 1;
    }
    this.#pump();
  }

  /** Cuts the link when it next passes that point. */
  arm(cut: Cut): void {
    this.#armed = cut;
  }

  /** Cuts the link now; it is opened again by the next sweep, together with everybody else's. */
  storm(): void {
    if (!this.online) return;
    this.#options.counters.dropsInjected += 1;
    this.#link.cut('cut by a reconnect storm');
    this.#openAtMs = this.#options.now();
  }

  /** Everything that depends on time; the fleet calls it every 100 ms or so. */
  sweep(nowMs: number): void {
    this.#link.sweep(nowMs);
    const { ackTimeoutMs } = this.#options;
    if (this.online && nowMs - (this.#conversation.oldestSentMs ?? nowMs) > ackTimeoutMs) {
      this.#link.cut(`no acknowledgement within ${ackTimeoutMs} ms`);
    }
    if (this.#openAtMs !== undefined && nowMs >= this.#openAtMs) this.open();
  }

  /** Leaves in good order and ends the session on the server. */
  async close(timeoutMs: number): Promise<void> {
    this.#closing = true;
    this.#openAtMs = undefined;
    const inOrder = await this.#link.close(timeoutMs);
    if (this.#options.qos === 0 && inOrder) this.#acceptConnection();
    if (this.#options.qos > 0 && this.#wasConnected) await endSession(this.#options.link, timeoutMs);
  }

  #onUp(connack: IConnackPacket): void {
    this.#options.backoff.reset();
    if (this.#wasConnected) this.#options.counters.reconnects += 1;
    this.#wasConnected = true;
    this.#connectionSeq = this.#sentSeq;
    this.#conversation.resume(connack);
    this.#pump();
  }

  #onPacket(packet: Packet): void {
    this.#conversation.receive(packet);
    this.#pump();
  }

  #onDown(reason: string): void {
    if (this.#closing) return;
    this.#linkProblem = reason;
    this.#openAtMs = this.#options.now() + this.#options.backoff.nextMs();
  }

  /** Sends what may be sent now, in as few writes as the window allows. */
  #pump(): void {
    const packets: Packet[] = [];
    while (this.#sentSeq < this.#takenSeq && this.#link.writable && this.#conversation.hasRoom) {
      packets.push(this.#nextPublish());
      if (packets.length >= this.#options.inflightMax) this.#flush(packets); // QoS 0 has no other window
    }
    this.#flush(packets);
  }

  #flush(packets: Packet[]): void {
    if (packets.length === 0) return;
    this.#link.send(packets.splice(0));
    this.#passes('publish');
  }

  #nextPublish(): Packet {
    const { payloads, now, startMs } = this.#options;
    const payload = payloads.next();
    this.#sentSeq = payload.seq;
    return this.#conversation.publish(payload, Math.max(0, now() - startMs() - payload.dueMs));
  }

  /** @returns true when the link was cut here. */
  #passes(point: CutPoint): boolean {
    const cut = this.#armed;
    if (cut?.point !== point) return false;
    this.#armed = undefined;
    this.#options.counters.dropsInjected += 1;
    this.#link.cut(`cut after ${point}`);
    this.#openAtMs = this.#options.now() + cut.offlineMs;
    return true;
  }

  /** QoS 0: the connection ended in good order, so what it carried arrived. */
  #acceptConnection(): void {
    const { counters, ledger, device } = this.#options;
    for (let seq = this.#connectionSeq + 1; seq <= this.#sentSeq; seq += 1) ledger?.accepted(device, seq);
    counters.acked += this.#sentSeq - this.#connectionSeq;
  }
}

export interface DeviceOptions extends ConversationOptions {
  readonly offlineBufferMax: number;
  /** A message unanswered for so long means a new connection, the only occasion to repeat it (MQTT-4.4.0-1). */
  readonly ackTimeoutMs: number;
  readonly link: LinkOptions;
  readonly payloads: PayloadStream;
  readonly backoff: Backoff;
  /** When the plan's time 0 was, on the clock of `now`. */
  readonly startMs: () => number;
}
