import type { BrokerClient } from './broker.ts';
import { connectForBroker } from './broker-packets.ts';
import { BrokerStream, type StreamOwner } from './broker-stream.ts';
import type { ClientHost } from './client-host.ts';
import type { ConnectPacket } from './connect-packet.ts';
import { ControlIntake } from './control-intake.ts';
import { packetTypes } from './control-packets.ts';
import type { FrameReader } from './frame-reader.ts';
import { Intake } from './intake.ts';
import { KeepAlive } from './keep-alive.ts';
import { MemoryQueue } from './memory-queue.ts';
import type { Message } from './message.ts';
import type { MqttNode } from './node.ts';
import type { Outbox } from './outbox.ts';
import { OutgoingWindow } from './outgoing-window.ts';
import { PublishReader } from './publish-packet.ts';
import { malformed, Refusal, reasonCodes } from './refusal.ts';
import type { Fit } from './replies.ts';
import { deliverRetained } from './retained-delivery.ts';
import { Sender } from './sender.ts';
import type { Session } from './session.ts';
import { KeptQueue } from './session-queue.ts';
import type { SubscriberLink } from './subscribers.ts';
import { Subscriptions } from './subscriptions.ts';
import { TopicCache } from './topic-cache.ts';

export interface ConnectedClientOptions {
  readonly node: MqttNode;
  readonly host: ClientHost;
  readonly outbox: Outbox;
  readonly packet: ConnectPacket;
  readonly session: Session;
  readonly fit: Fit;
  /** The CONNACK to send once Aedes has the client. */
  readonly connack: Buffer;
}

/**
 * A client whose CONNECT was accepted, from there to the end of its connection: its packets on their way in, its messages
 * on their way out, and its silence.
 */
export class ConnectedClient implements StreamOwner, SubscriberLink {
  readonly fit: Fit;
  readonly #options: ConnectedClientOptions;
  readonly #stream = new BrokerStream(this);
  readonly #client: BrokerClient;
  readonly #intake: Intake;
  readonly #control: ControlIntake;
  readonly #subscriptions: Subscriptions;
  readonly #publishes: PublishReader;
  readonly #memoryQueue: MemoryQueue | undefined; // of a session that is not kept
  readonly #sender: Sender;
  readonly #keepAlive: KeepAlive;
  #greeted: (() => void) | undefined;
  #closed = false;
  #over: Promise<void> | undefined;

  constructor(options: ConnectedClientOptions) {
    const { node, host, packet, session, fit } = options;
    const { version, keepAliveSeconds } = packet;
    const { limits } = node;
    this.fit = fit;
    this.#options = options;
    this.#client = node.broker.attach(this.#stream, session.subscriptions.keys());
    const intake = new Intake({ ...options, version, device: node.uplink.open(session.clientId) });
    const onFailure = (error: unknown) => host.fail(error);
    this.#intake = intake;
    this.#memoryQueue = session.kept ? undefined : new MemoryQueue(limits.outboundBytesMax);
    this.#sender = this.#openSender(onFailure);
    this.#subscriptions = new Subscriptions({
      ...options,
      version,
      stream: this.#stream,
      onFailure,
      onGranted: (requests) => {
        const to = { node, session, sender: this.#sender, link: this, closed: () => this.#closed };
        deliverRetained(to, requests).catch(onFailure);
      },
    });
    this.#control = new ControlIntake({
      ...options,
      version,
      limits,
      expirySeconds: session.expirySeconds,
      sender: this.#sender,
      subscriptions: this.#subscriptions,
      onRelease: (id) => intake.release(id),
      onLeave: () => host.close('client_disconnect'),
    });
    this.#publishes = new PublishReader(new TopicCache(limits), version, limits.topicAliasMax);
    this.#keepAlive = new KeepAlive(keepAliveSeconds, () => this.#onSilence(keepAliveSeconds));
  }

  /** Introduces the client to Aedes. Resolves when the CONNACK is on its way, or the connection is over. */
  greet(): Promise<void> {
    const { packet, session } = this.#options;
    return new Promise((greeted) => {
      this.#greeted = greeted;
      this.#stream.feed(connectForBroker(packet.version, session.clientId));
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

  /** The client has read what was sent. */
  drained(): void {
    this.#sender.drained();
  }

  /** @throws Refusal */
  take(frame: FrameReader): void {
    const { version } = this.#options.packet;
    if (frame.padded && version === 5) throw malformed('The remaining length has more bytes than needed.');
    if (frame.header >> 4 === packetTypes.publish) this.#intake.publish(this.#publishes.read(frame));
    else this.#control.take(frame.header, frame.buffer.subarray(frame.start, frame.end));
  }

  /** Resolves when every publish is acknowledged. */
  idle(): Promise<void> {
    return this.#intake.empty();
  }

  /** The connection is over. Resolves when Aedes has let go of the client and the state knows. */
  close(): Promise<void> {
    this.#over ??= this.#close();
    return this.#over;
  }

  async #close(): Promise<void> {
    const { node, session } = this.#options;
    this.#closed = true;
    this.#keepAlive.close();
    this.#intake.close();
    this.#greeted?.();
    node.subscribers.detach(session.sessionId, this);
    const settled = this.#sender.close();
    await new Promise<void>((closed) => this.#client.close(closed));
    node.broker.forget(session.clientId);
    await settled;
    if (session.kept) node.unreleased.keep(session.sessionId, session.connection.connection, session.unreleased);
    const { sendWill, expirySeconds } = this.#control;
    await node.departures.tell(session.connection, { sendWill, expirySeconds, sentUpTo: this.#sender.sentUpTo });
  }

  deliver(message: Message): void {
    this.#sender.deliver(message);
  }

  enqueue(record: Uint8Array): void {
    if (this.#memoryQueue?.add(record)) this.#sender.wake();
    else this.#options.host.abort('outbound_overflow');
  }

  wake(): void {
    this.#sender.wake();
  }

  fromBroker(header: number, pieces: readonly Uint8Array[]): void {
    if (this.#closed) return;
    const type = header >> 4;
    if (type === packetTypes.connack) {
      this.#onConnack(pieces);
      return;
    }
    for (const piece of pieces) this.#options.outbox.write(piece);
    if (type === packetTypes.suback || type === packetTypes.unsuback) this.#onAnswer();
  }

  brokerHungUp(): void {
    if (this.#closed) return;
    const message = 'The server could not go on with this connection. Connect again.';
    this.#options.host.refuse(new Refusal(reasonCodes.serverUnavailable, message, 'internal_error'));
  }

  /** Ours is sent instead: Aedes knows nothing of the session. From now on messages may leave. */
  #onConnack(pieces: readonly Uint8Array[]): void {
    const { outbox, connack, node, session } = this.#options;
    if (Buffer.concat(pieces)[3] !== 0) return; // Aedes then hangs up
    outbox.write(connack);
    node.subscribers.attach(session, this);
    this.#sender.wake();
    this.#greeted?.();
  }

  #onAnswer(): void {
    this.#control.unanswered = false;
    this.#subscriptions.answered();
    // Not at once: Aedes may be in the middle of parsing, and its parser cannot be fed from within itself.
    queueMicrotask(() => this.#options.host.resume());
  }

  #onSilence(keepAliveSeconds: number): void {
    const { host } = this.#options;
    if (!host.listening) return; // it is us who do not hear
    const message = `No packet for one and a half times the keep alive of ${keepAliveSeconds} s.`;
    host.refuse(new Refusal(reasonCodes.keepAliveTimeout, message, 'keep_alive'));
  }

  #openSender(onFailure: (error: unknown) => void): Sender {
    const { node, outbox, packet, session, fit } = this.#options;
    const { version, properties } = packet;
    return new Sender({
      outbox,
      counters: node.counters,
      clock: node.clock,
      limits: node.limits,
      version,
      packetBytesMax: fit.packetBytesMax,
      queue: this.#memoryQueue ?? new KeptQueue(node.state, session.sessionId),
      window: new OutgoingWindow(Math.min(properties.receiveMaximum ?? 65_535, node.limits.outgoingMax)),
      sentUpTo: session.sentUpTo,
      onFailure,
    });
  }
}
