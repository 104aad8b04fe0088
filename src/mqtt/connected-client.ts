import type { DeviceUplink } from '../bridge/uplink.ts';
import type { BrokerClient } from './broker.ts';
import {
  acknowledgementForBroker,
  connectForBroker,
  disconnectForBroker,
  subscribeForBroker,
  unsubscribeForBroker,
} from './broker-packets.ts';
import { BrokerStream, type StreamOwner } from './broker-stream.ts';
import type { ConnectPacket, Will } from './connect-packet.ts';
import { checkFlags, packetName, packetTypes, readAcknowledgement, readDisconnect } from './control-packets.ts';
import type { CloseReason } from './counters.ts';
import type { FrameReader } from './frame-reader.ts';
import { Intake } from './intake.ts';
import { KeepAlive } from './keep-alive.ts';
import type { MqttNode } from './node.ts';
import type { Outbox } from './outbox.ts';
import { Outlet } from './outlet.ts';
import { PublishReader } from './publish-packet.ts';
import { malformed, protocolError, Refusal, reasonCodes } from './refusal.ts';
import { type Fit, pingresp } from './replies.ts';
import type { Session } from './session.ts';
import { readSubscribe, readUnsubscribe } from './subscribe-packet.ts';
import { TopicCache } from './topic-cache.ts';

/** The gate, as its client sees it. */
export interface ClientHost {
  /** False while packets are not read, for lack of room. */
  readonly listening: boolean;
  /** There may be room for more packets. */
  resume(): void;
  /** Tells the client why, if its version has a way to, and closes the connection. */
  refuse(refusal: Refusal): void;
  close(reason: CloseReason): void;
  /** Closes it without waiting for what the client has not read. */
  abort(reason: CloseReason): void;
}

export interface ConnectedClientOptions {
  readonly node: MqttNode;
  readonly host: ClientHost;
  readonly outbox: Outbox;
  readonly packet: ConnectPacket;
  readonly session: Session;
  readonly expirySeconds: number;
  readonly fit: Fit;
  /** The CONNACK to send once Aedes has the client. */
  readonly connack: Buffer;
}

/**
 * A client whose CONNECT was accepted: what its packets mean, and who deals with them. PUBLISH and PUBREL go to the
 * intake and PINGREQ is answered here; the rest goes to Aedes, in words of our own (`broker-packets.ts`). Packets take
 * effect in their order: after a SUBSCRIBE or UNSUBSCRIBE nothing is read until Aedes has answered it.
 */
export class ConnectedClient implements StreamOwner {
  readonly session: Session;
  /** As the CONNECT said, until a DISCONNECT says otherwise. */
  expirySeconds: number;
  readonly #options: ConnectedClientOptions;
  readonly #node: MqttNode;
  readonly #version: ConnectPacket['version'];
  readonly #device: DeviceUplink;
  readonly #intake: Intake;
  readonly #publishes: PublishReader;
  readonly #stream = new BrokerStream(this);
  readonly #client: BrokerClient;
  readonly #will: Will | undefined;
  #greeted: (() => void) | undefined;
  #over: Promise<void> | undefined;
  #unanswered = false;
  #leaving = false;
  #closed = false;
  readonly #outlet: Outlet;
  readonly #keepAlive: KeepAlive;

  constructor(options: ConnectedClientOptions) {
    const { node, packet, session } = options;
    this.#options = options;
    this.#node = node;
    this.session = session;
    this.expirySeconds = options.expirySeconds;
    this.#version = packet.version;
    this.#will = packet.will && { ...packet.will, payload: Buffer.from(packet.will.payload) };
    this.#device = node.uplink.open(session.clientId);
    this.#client = node.broker.attach(this.#stream);
    this.#intake = new Intake({ ...options, device: this.#device, client: this.#client, version: packet.version });
    this.#keepAlive = new KeepAlive(packet.keepAliveSeconds, () => this.#onSilence());
    this.#outlet = new Outlet({
      ...options,
      onConnack: () => this.#greeted?.(),
      onAnswer: () => this.#onAnswer(),
      onOverflow: () => options.host.abort('outbound_overflow'),
    });
    this.#publishes = new PublishReader(new TopicCache(node.limits), packet.version, node.limits.topicAliasMax);
  }

  /** Introduces the client to Aedes. Resolves when the CONNACK is on its way, or the connection is over. */
  greet(): Promise<void> {
    const { packet, session, expirySeconds } = this.#options;
    return new Promise((greeted) => {
      this.#greeted = greeted;
      this.#stream.feed(connectForBroker({ packet, clientId: session.clientId, kept: session.kept, expirySeconds }));
    });
  }

  get fit(): Fit {
    return this.#options.fit;
  }

  /** Whether the next packet may be taken. */
  get ready(): boolean {
    return !this.#unanswered && !this.#closed && !this.#intake.full;
  }

  /** Complete packets have come at `nowMs`. */
  heard(nowMs: number): void {
    this.#intake.nowMs = nowMs;
    this.#keepAlive.heard();
  }

  /** @throws Refusal */
  take(frame: FrameReader): void {
    if (frame.padded && this.#version === 5) throw malformed('The remaining length has more bytes than needed.');
    if (frame.header >> 4 === packetTypes.publish) this.#intake.publish(this.#publishes.read(frame));
    else this.#takeControl(frame.header, frame.buffer.subarray(frame.start, frame.end));
  }

  /** Resolves when every publish is acknowledged. */
  idle(): Promise<void> {
    return this.#intake.empty();
  }

  /** The connection is over. Resolves when Aedes has let go of the client. */
  close(): Promise<void> {
    this.#over ??= this.#close();
    return this.#over;
  }

  #close(): Promise<void> {
    this.#closed = true;
    this.#keepAlive.close();
    this.#outlet.close();
    this.#intake.close();
    this.#greeted?.();
    return new Promise((closed) => this.#client.close(closed));
  }

  fromBroker(header: number, pieces: readonly Uint8Array[], bytes: number): void {
    this.#outlet.take(header, pieces, bytes);
  }

  brokerHungUp(): void {
    if (this.#closed) return;
    if (this.#leaving) this.#options.host.close('client_disconnect');
    else {
      const message = 'The server could not go on with this connection. Connect again.';
      this.#options.host.refuse(new Refusal(reasonCodes.serverUnavailable, message, 'internal_error'));
    }
  }

  /** A will has no packet id and nobody waits for it: stored in the background, subscribers get it at once. */
  willLeaves(): void {
    if (!this.#will) return;
    const { properties, ...will } = this.#will;
    const { willDelaySeconds: _, ...message } = properties;
    const { clientId } = this.session;
    const accepted = this.#device.accept({ ...will, properties: this.#version === 5 ? message : undefined });
    accepted?.catch((error: unknown) => {
      this.#node.counters.dropped.will_not_stored++;
      this.#node.logger.warn({ err: error, clientId }, 'mqtt will not stored');
    });
  }

  #takeControl(header: number, body: Buffer): void {
    checkFlags(header);
    const version = this.#version;
    switch (header >> 4) {
      case packetTypes.puback:
      case packetTypes.pubrec:
      case packetTypes.pubcomp:
        this.#stream.feed(acknowledgementForBroker(header, readAcknowledgement(header, body, version)));
        break;
      case packetTypes.pubrel:
        this.#intake.release(readAcknowledgement(header, body, version).packetId);
        break;
      case packetTypes.subscribe:
        this.#subscribe(body);
        break;
      case packetTypes.unsubscribe:
        this.#ask(unsubscribeForBroker(readUnsubscribe(body, version, this.#node.limits), version));
        break;
      case packetTypes.pingreq:
        if (body.length > 0) throw malformed('PINGREQ: it has a body.');
        this.#options.outbox.write(pingresp);
        break;
      case packetTypes.disconnect:
        this.#leave(body);
        break;
      case packetTypes.connect:
        throw protocolError('CONNECT: a second one on the same connection.'); // MQTT-3.1.0-2
      default:
        throw protocolError(`${packetName(header)} is not for a client to send here.`);
    }
  }

  #subscribe(body: Buffer): void {
    const { limits } = this.#node;
    const packet = readSubscribe(body, this.#version, limits);
    const filters = new Set([...Object.keys(this.#client.subscriptions), ...packet.filters]).size;
    if (filters > limits.subscriptionsMax) {
      const message = `That makes ${filters} subscriptions; ${limits.subscriptionsMax} are allowed. Use wildcards.`;
      throw new Refusal(reasonCodes.quotaExceeded, message, 'subscription_limit');
    }
    this.#ask(subscribeForBroker(packet, this.#version));
  }

  #ask(packet: Buffer): void {
    this.#unanswered = true;
    this.#stream.feed(packet);
  }

  #leave(body: Buffer): void {
    const { reasonCode, sessionExpirySeconds } = readDisconnect(body, this.#version);
    if (sessionExpirySeconds !== undefined) {
      if (this.#options.expirySeconds === 0 && sessionExpirySeconds > 0) {
        throw protocolError('DISCONNECT: the session expiry was 0 in CONNECT and cannot be raised.'); // MQTT5 §3.14.2.2.2
      }
      this.expirySeconds = Math.min(sessionExpirySeconds, this.#node.limits.sessionExpirySecondsMax);
    }
    this.#leaving = true;
    this.#stream.feed(disconnectForBroker(reasonCode, this.#version));
  }

  #onAnswer(): void {
    this.#unanswered = false;
    // Not at once: Aedes may be in the middle of parsing, and its parser cannot be fed from within itself.
    queueMicrotask(() => this.#options.host.resume());
  }

  #onSilence(): void {
    if (!this.#options.host.listening) return; // it is us who do not hear
    const { keepAliveSeconds } = this.#options.packet;
    const message = `No packet for one and a half times the keep alive of ${keepAliveSeconds} s.`;
    this.#options.host.refuse(new Refusal(reasonCodes.keepAliveTimeout, message, 'keep_alive'));
  }
}
