import { crc32 } from 'node:zlib';
import type { IConnackPacket, IPublishPacket, Packet } from 'mqtt-packet';
import type { CutPoint } from './faults.ts';
import type { FleetCounters } from './fleet-counters.ts';
import type { Ledger } from './ledger.ts';
import { type OutgoingMessage, OutgoingSession, pubrel } from './outgoing-session.ts';
import type { Payload } from './payload.ts';

/** What a device and the server say to each other about messages: the session, and what is noted of each step. */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #link: ConversationLink;
  readonly #session: OutgoingSession;
  #refusal = '';

  constructor(options: ConversationOptions, link: ConversationLink) {
    this.#options = options;
    this.#link = link;
    this.#session = new OutgoingSession(options.topic, options.qos, options.inflightMax);
  }

  /** Published and not finished. */
  get unfinished(): number {
    return this.#session.size;
  }

  get hasRoom(): boolean {
    return this.#session.hasRoom;
  }

  /** When the oldest unfinished message was last sent. */
  get oldestSentMs(): number | undefined {
    return this.#session.oldest?.sentMs;
  }

  /** Why the server would not take a message, the last time that it happened. */
  get refusal(): string {
    return this.#refusal;
  }

  /** @param lateMs how long after its time the message leaves. */
  publish(payload: Payload, lateMs: number): IPublishPacket {
    const { counters, ledger, device, now } = this.#options;
    counters.sent += 1;
    counters.lag.record(lateMs);
    ledger?.sent(device, payload.seq, crc32(payload.bytes));
    return this.#session.publish(payload.seq, payload.bytes, now());
  }

  /** A new connection is up: what is unfinished goes out again, before anything else. */
  resume(connack: IConnackPacket): void {
    const { counters, inflightMax } = this.#options;
    this.#session.windowMax = Math.min(inflightMax, connack.properties?.receiveMaximum ?? inflightMax);
    if (this.#session.size === 0) return;
    if (!connack.sessionPresent) counters.sessionsLost += 1;
    const packets = this.#repetitions(connack.sessionPresent);
    counters.resent += packets.length;
    if (packets.length > 0) this.#link.send(packets);
  }

  /** The acknowledgements; nothing else concerns a device that subscribes to nothing. */
  receive(packet: Packet): void {
    const packetId = packet.messageId ?? 0;
    if (packet.cmd !== 'puback' && packet.cmd !== 'pubrec' && packet.cmd !== 'pubcomp') return;
    if (packet.cmd !== 'pubcomp' && (packet.reasonCode ?? 0) >= 0x80) this.#onRefusal(packetId, packet.reasonCode ?? 0);
    else if (packet.cmd === 'pubrec') this.#onPubrec(packetId);
    else this.#onFinal(packet.cmd, packetId);
  }

  #repetitions(sessionPresent: boolean): Packet[] {
    const { counters, mqttVersion, now } = this.#options;
    if (mqttVersion === 4 || sessionPresent) return this.#session.resend(now());
    const { publish, done, abandoned } = this.#session.restart(now());
    for (const message of done) this.#finished(message);
    counters.abandoned += abandoned.length;
    return publish;
  }

  #onFinal(cmd: 'puback' | 'pubcomp', packetId: number): void {
    const { counters, ledger, device } = this.#options;
    const message = this.#session.finish(cmd, packetId);
    if (message === undefined) {
      counters.acksUnexpected += 1;
      return;
    }
    ledger?.accepted(device, message.seq);
    this.#finished(message);
  }

  /** An id that fits nothing is released all the same, so that the server can forget it (MQTT-4.3.3). */
  #onPubrec(packetId: number): void {
    const { counters, ledger, device } = this.#options;
    const message = this.#session.release(packetId);
    if (message === undefined) counters.acksUnexpected += 1;
    else ledger?.accepted(device, message.seq);
    if (this.#link.passes('pubrec')) return;
    this.#link.send([pubrel(packetId)]);
    this.#link.passes('pubrel');
  }

  /** MQTT 5 only: a reason code of 0x80 or more in PUBACK or PUBREC ends the exchange; sending again would not help. */
  #onRefusal(packetId: number, reasonCode: number): void {
    if (this.#session.refuse(packetId) === undefined) return;
    this.#options.counters.refused += 1;
    this.#refusal = `the server refused a message with reason code 0x${reasonCode.toString(16)}`;
  }

  #finished(message: OutgoingMessage): void {
    const { counters, now } = this.#options;
    counters.acked += 1;
    counters.ackLatency.record(now() - message.firstSentMs);
  }
}

export interface ConversationOptions {
  readonly device: number; // index
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly mqttVersion: 4 | 5;
  /** Messages published and not finished (the MQTT window). */
  readonly inflightMax: number;
  readonly counters: FleetCounters;
  readonly ledger: Ledger | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** What a conversation needs of the device's link. */
export interface ConversationLink {
  send(packets: readonly Packet[]): void;
  /** @returns true when the link was cut at this point. */
  passes(point: CutPoint): boolean;
}
