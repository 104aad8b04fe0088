import type { IPublishPacket, IPubrelPacket } from 'mqtt-packet';

/**
 * The client's half of an MQTT session: what was published and is not finished yet (MQTT-4.3, MQTT-4.4).
 *
 *   QoS 0:  never kept
 *   QoS 1:  published ──PUBACK──► done
 *   QoS 2:  published ──PUBREC──► released (PUBREL sent) ──PUBCOMP──► done
 *
 * It outlives the connection. On a new one every unfinished message is repeated in the order in which it was first sent
 * (MQTT-4.6.0-1, -3): a published one as PUBLISH with DUP 1 and its old packet id (MQTT-3.3.1-1, MQTT-4.4.0-1), a released one as
 * PUBREL. That a server does not know the session any more (CONNACK with session present 0) means different things:
 *
 *   MQTT 3.1.1: nothing changes; MQTT-4.4.0-1 asks for the same packet ids whenever CleanSession is 0.
 *   MQTT 5:     the client must discard its state (MQTT-3.2.2-5). A released message is the server's since its PUBREC, so it
 *               is done. At QoS 1 the rest is published anew, under new packet ids. At QoS 2 nobody can tell whether the
 *               rest arrived, and publishing it anew might make two of one: it is abandoned, and counted.
 *
 * No I/O and no clock of its own. At most `windowMax` messages are unfinished at a time.
 */
export class OutgoingSession {
  readonly #topic: string;
  readonly #qos: 0 | 1 | 2;
  readonly #unfinished: OutgoingMessage[] = []; // in the order of first sending; a few dozen at most
  #lastPacketId = 0;
  /** A server may lower it by its receive maximum (MQTT-3.3.4-9). */
  windowMax: number;

  constructor(topic: string, qos: 0 | 1 | 2, windowMax: number) {
    this.#topic = topic;
    this.#qos = qos;
    this.windowMax = windowMax;
  }

  get size(): number {
    return this.#unfinished.length;
  }

  get hasRoom(): boolean {
    return this.#unfinished.length < this.windowMax;
  }

  get oldest(): Readonly<OutgoingMessage> | undefined {
    return this.#unfinished[0];
  }

  publish(seq: number, payload: Buffer, nowMs: number): IPublishPacket {
    if (this.#qos === 0) return { cmd: 'publish', topic: this.#topic, qos: 0, retain: false, dup: false, payload };
    const message = { packetId: this.#newPacketId(), seq, payload, firstSentMs: nowMs, sentMs: nowMs, released: false };
    this.#unfinished.push(message);
    return this.#publishPacket(message, false);
  }

  /** @returns the message that is finished by this PUBACK or PUBCOMP; undefined when it fits none. */
  finish(cmd: 'puback' | 'pubcomp', packetId: number): OutgoingMessage | undefined {
    const at = this.#unfinished.findIndex((message) => message.packetId === packetId);
    const message = this.#unfinished[at];
    if (message === undefined || message.released !== (cmd === 'pubcomp') || (cmd === 'puback') !== (this.#qos === 1))
      return undefined;
    this.#unfinished.splice(at, 1);
    return message;
  }

  /** The server owns the message from its PUBREC on; the payload is let go. @returns undefined when the id fits none. */
  release(packetId: number): OutgoingMessage | undefined {
    const message = this.#unfinished.find((candidate) => candidate.packetId === packetId);
    if (message === undefined || this.#qos !== 2) return undefined;
    message.released = true;
    message.payload = empty;
    return message;
  }

  /** PUBACK or PUBREC with an error: the server will not take this message, now or later. */
  refuse(packetId: number): OutgoingMessage | undefined {
    const at = this.#unfinished.findIndex((message) => message.packetId === packetId && !message.released);
    return at === -1 ? undefined : this.#unfinished.splice(at, 1)[0];
  }

  /** What a new connection to the same session starts with. */
  resend(nowMs: number): (IPublishPacket | IPubrelPacket)[] {
    return this.#unfinished.map((message) => {
      message.sentMs = nowMs;
      return message.released ? pubrel(message.packetId) : this.#publishPacket(message, true);
    });
  }

  /** MQTT 5 with session present 0; see above. */
  restart(nowMs: number): {
    readonly publish: IPublishPacket[];
    readonly done: OutgoingMessage[];
    readonly abandoned: OutgoingMessage[];
  } {
    const old = this.#unfinished.splice(0);
    if (this.#qos === 2) {
      return { publish: [], done: old.filter((m) => m.released), abandoned: old.filter((m) => !m.released) };
    }
    for (const message of old) {
      this.#unfinished.push({ ...message, packetId: this.#newPacketId(), sentMs: nowMs });
    }
    return { publish: this.#unfinished.map((message) => this.#publishPacket(message, false)), done: [], abandoned: [] };
  }

  #publishPacket(message: OutgoingMessage, dup: boolean): IPublishPacket {
    const { packetId: messageId, payload } = message;
    return { cmd: 'publish', topic: this.#topic, qos: this.#qos, retain: false, dup, messageId, payload };
  }

  /** 1..65535, round and round, past those in use (MQTT-2.3.1-2). The window is far smaller than the id space. */
  #newPacketId(): number {
    do {
      this.#lastPacketId = (this.#lastPacketId % 65_535) + 1;
    } while (this.#unfinished.some((message) => message.packetId === this.#lastPacketId));
    return this.#lastPacketId;
  }
}

export interface OutgoingMessage {
  readonly packetId: number;
  readonly seq: number;
  payload: Buffer;
  readonly firstSentMs: number;
  /** Last time on the wire; tells a server that has stopped answering. */
  sentMs: number;
  /** PUBREC came, PUBREL is on its way. */
  released: boolean;
}

const empty = Buffer.alloc(0);

export function pubrel(packetId: number): IPubrelPacket {
  return { cmd: 'pubrel', messageId: packetId };
}
