import type { DeviceUplink } from '../bridge/uplink.ts';
import type { BrokerClient } from './broker.ts';
import { connectForBroker } from './broker-packets.ts';
import { BrokerStream, type StreamOwner } from './broker-stream.ts';
import type { ConnectPacket, Will } from './connect-packet.ts';
import { ControlIntake } from './control-intake.ts';
import { packetTypes } from './control-packets.ts';
import type { CloseReason } from './counters.ts';
import type { FrameReader } from './frame-reader.ts';
import { Intake } from './intake.ts';
import { KeepAlive } from './keep-alive.ts';
import type { MqttNode } from './node.ts';
import type { Outbox } from './outbox.ts';
import { Outlet } from './outlet.ts';
import { PublishReader } from './publish-packet.ts';
import { malformed, Refusal, reasonCodes } from './refusal.ts';
import type { Fit } from './replies.ts';
import type { Session } from './session.ts';
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
 * A client whose CONNECT was accepted, from there to the end of its connection: its packets on their way in, what Aedes
 * sends on its way out, and its silence.
 */
export class ConnectedClient implements StreamOwner {
  readonly session: Session;
  readonly fit: Fit;
  readonly #node: MqttNode;
  readonly #host: ClientHost;
  readonly #version: number;
  readonly #device: DeviceUplink;
  readonly #stream = new BrokerStream(this);
  readonly #client: BrokerClient;
  readonly #intake: Intake;
  readonly #control: ControlIntake;
  readonly #publishes: PublishReader;
  readonly #outlet: Outlet;
  readonly #keepAlive: KeepAlive;
  readonly #will: Will | undefined;
  #introduction: Buffer | undefined; // the CONNECT that Aedes reads
  #greeted: (() => void) | undefined;
  #closed = false;
  #over: Promise<void> | undefined;

  constructor(options: ConnectedClientOptions) {
    const { node, host, packet, session, fit, expirySeconds } = options;
    const { version, keepAliveSeconds, will } = packet;
    const { limits } = node;
    const { clientId, kept } = session;
    this.session = session;
    this.fit = fit;
    this.#node = node;
    this.#host = host;
    this.#version = version;
    this.#will = will && { ...will, payload: Buffer.from(will.payload) };
    this.#introduction = connectForBroker({ packet, clientId, kept, expirySeconds });
    const stream = this.#stream;
    const device = node.uplink.open(clientId);
    const client = node.broker.attach(stream);
    this.#device = device;
    this.#client = client;
    const intake = new Intake({ ...options, version, device, client });
    this.#intake = intake;
    this.#control = new ControlIntake({
      ...options,
      version,
      limits,
      stream,
      client,
      onRelease: (id) => intake.release(id),
    });
    this.#publishes = new PublishReader(new TopicCache(limits), version, limits.topicAliasMax);
    this.#outlet = new Outlet({
      ...options,
      onConnack: () => this.#greeted?.(),
      onAnswer: () => this.#onAnswer(),
      onOverflow: () => host.abort('outbound_overflow'),
    });
    this.#keepAlive = new KeepAlive(keepAliveSeconds, () => this.#onSilence(keepAliveSeconds));
  }

  /** How long the session outlives this connection. */
  get expirySeconds(): number {
    return this.#control.expirySeconds;
  }

  /** Introduces the client to Aedes. Resolves when the CONNACK is on its way, or the connection is over. */
  greet(): Promise<void> {
    return new Promise((greeted) => {
      this.#greeted = greeted;
      if (this.#introduction) this.#stream.feed(this.#introduction);
      this.#introduction = undefined;
    });
  }

  /** Whether the next packet may be taken. */
  get ready(): boolean {
    return !this.#control.unanswered && !this.#closed && !this.#intake.full;
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
    else this.#control.take(frame.header, frame.buffer.subarray(frame.start, frame.end));
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
    if (this.#control.leaving) this.#host.close('client_disconnect');
    else {
      const message = 'The server could not go on with this connection. Connect again.';
      this.#host.refuse(new Refusal(reasonCodes.serverUnavailable, message, 'internal_error'));
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

  #onAnswer(): void {
    this.#control.unanswered = false;
    // Not at once: Aedes may be in the middle of parsing, and its parser cannot be fed from within itself.
    queueMicrotask(() => this.#host.resume());
  }

  #onSilence(keepAliveSeconds: number): void {
    if (!this.#host.listening) return; // it is us who do not hear
    const message = `No packet for one and a half times the keep alive of ${keepAliveSeconds} s.`;
    this.#host.refuse(new Refusal(reasonCodes.keepAliveTimeout, message, 'keep_alive'));
  }
}
