import type { DeviceUplink } from '../bridge/uplink.ts';
import { PubSubError } from '../domain/errors.ts';
import { AckQueue } from './ack-queue.ts';
import { publishOverheadBytes } from './limits.ts';
import type { Message } from './message.ts';
import type { MqttNode } from './node.ts';
import type { Outbox } from './outbox.ts';
import type { Pending, PendingOwner } from './pending.ts';
import type { Publish } from './publish-packet.ts';
import { Qos0Intake } from './qos0-intake.ts';
import { protocolError, Refusal, reasonCodes } from './refusal.ts';
import { ackHeaders, type Fit } from './replies.ts';
import type { Session } from './session.ts';
import { idStates } from './unreleased-ids.ts';
import { costOf, Window } from './window.ts';

/** The gate, as its intake sees it. */
export interface IntakeHost {
  /** There may be room for more. */
  resume(): void;
  /** The connection cannot go on. */
  refuse(refusal: Refusal): void;
}

export interface IntakeOptions {
  readonly node: MqttNode;
  readonly host: IntakeHost;
  readonly outbox: Outbox;
  readonly session: Session;
  readonly device: DeviceUplink;
  readonly version: number;
  readonly fit: Fit;
}

/**
 * What becomes of the PUBLISH and PUBREL packets of one connection.
 *
 *     PUBLISH ──► the store, if a route takes it ──► the queues of kept sessions, retained ──► acknowledgement
 *                                                                                            └──► those connected
 *     PUBREL  ──► the store forgets the packet id ──► PUBCOMP
 *
 * Everything that will be acknowledged stands in one queue (`AckQueue`): acknowledgements of all kinds go out in the order
 * in which their packets came (I7), and none before its message is durable, in every topic and every queue that it has
 * to reach (I1). The two come one after the other: what the store refuses reaches no subscriber, and when a queue fails
 * the repetition is recognised in the topics (I6). QoS 0 needs no place in the queue; see `Qos0Intake`.
 *
 * When the store, or a queue, does not take a message, its place in the queue is never cleared: nothing behind it is acknowledged,
 * nothing more is read, and when the oldest is `storeDeadlineMs` old the connection is closed, so that the client sends
 * again. The same deadline ends a connection whose store hangs.
 *
 * A message that can never be stored (INVALID_ARGUMENT) is refused: MQTT 5 has a negative acknowledgement for that. MQTT
 * 3.1.1 leaves two ways (MQTT-3.3.5-2): to acknowledge it all the same, or to close the connection. An acknowledged
 * message is a stored message, so the connection is closed, loudly; QoS 0 is dropped and counted.
 *
 * After the connection is gone what was accepted is finished all the same: QoS 2 ids settle, subscribers are served.
 */
export class Intake implements PendingOwner {
  /** The time of the last chunk from the socket: exact enough for a deadline, and cheaper than asking for every packet. */
  nowMs = 0;
  readonly #options: IntakeOptions;
  readonly #node: MqttNode;
  readonly #acks: AckQueue;
  readonly #window: Window;
  readonly #qos0: Qos0Intake;
  #held = false; // the store did not take a message
  #closed = false;
  #complained = false;

  constructor(options: IntakeOptions) {
    const { node, outbox, fit, device } = options;
    this.#options = options;
    this.#node = node;
    const { clientId } = options.session;
    const onRoom = () => this.#onRoom();
    const window = new Window(node.limits, node.inflight, onRoom);
    const complain = (error: unknown) => this.#complain(error);
    this.#window = window;
    this.#qos0 = new Qos0Intake({ node, clientId, device, window, complain, onRoom });
    this.#acks = new AckQueue({
      outbox,
      fit,
      counters: node.counters,
      clock: node.clock,
      deadlineMs: node.limits.storeDeadlineMs,
      onStored: (pending) => this.#keep(pending),
      onLeft: (pending) => this.#onLeft(pending),
      onDeadline: () => this.#onDeadline(),
    });
  }

  /** Nothing more may be read until `resume` is called. */
  get full(): boolean {
    return this.#held || this.#window.full(this.#acks.length);
  }

  publish(publish: Publish): void {
    this.#node.counters.publishes[publish.qos]++;
    if (publish.qos === 0) this.#qos0.publish(publish);
    else if (publish.qos === 1) this.#publish1(publish);
    else this.#publish2(publish);
  }

  /** @throws Refusal when the PUBLISH of this id has not been acknowledged yet. */
  release(packetId: number): void {
    const { session, version } = this.#options;
    const state = session.unreleased.state(packetId);
    if (state === idStates.arriving)
      throw protocolError(`PUBREL: packet identifier ${packetId} has had no PUBREC yet.`);
    const pending = this.#enqueue(ackHeaders.pubcomp, packetId, publishOverheadBytes);
    // A session from before a restart may hold ids that only the store remembers: for those "not found" would be wrong.
    const maybeStored = state === idStates.stored || (state === idStates.free && session.recalled);
    if (version === 5 && state === idStates.free && !maybeStored) pending.reasonCode = reasonCodes.packetIdNotFound;
    if (maybeStored && session.kept) {
      this.#node.uplink.release(session.sessionId, packetId).then(pending.onStored, pending.onNotStored);
    } else this.onStored(pending);
  }

  /** Resolves when nothing waits for its acknowledgement, or the connection is gone. */
  empty(): Promise<void> {
    return this.#acks.empty();
  }

  /** The connection is gone. */
  close(): void {
    this.#closed = true;
    this.#window.close();
    this.#acks.close();
  }

  onStored(pending: Pending): void {
    if (pending.ack === ackHeaders.pubcomp) this.#options.session.unreleased.settle(pending.packetId, idStates.free);
    this.#acks.stored(pending);
  }

  onNotStored(pending: Pending, error: unknown): void {
    this.#complain(error);
    pending.message = undefined;
    pending.audience = undefined;
    if (pending.first) this.#options.session.unreleased.settle(pending.packetId, idStates.free);
    if (this.#closed) this.#acks.skip(pending);
    else if (isFinal(error) && pending.ack !== ackHeaders.pubcomp) this.#refuse(pending, error);
    else this.#hold(pending);
  }

  onKept(pending: Pending): void {
    const { first, routed, packetId } = pending;
    if (first) this.#options.session.unreleased.settle(packetId, routed ? idStates.stored : idStates.kept);
    this.#acks.due(pending);
  }

  #publish1(publish: Publish): void {
    const message = this.#messageOf(publish);
    const accepted = this.#accept(publish);
    const pending = this.#enqueue(ackHeaders.puback, publish.packetId, costOf(publish));
    this.#process(pending, accepted, message);
  }

  /** MQTT-4.3.3-10: while the id is not released, the same id is the same message. */
  #publish2(publish: Publish): void {
    const { unreleased, kept, sessionId } = this.#options.session;
    const { packetId } = publish;
    if (unreleased.state(packetId) !== idStates.free) {
      this.#repeated(packetId, costOf(publish));
      return;
    }
    unreleased.arrive(packetId);
    if (kept) publish.dedupe = { scope: sessionId, packetId };
    const message = this.#messageOf(publish);
    const accepted = this.#accept(publish);
    const pending = this.#enqueue(ackHeaders.pubrec, packetId, costOf(publish));
    pending.first = true;
    this.#process(pending, accepted, message);
  }

  /** Acknowledged like the first one, and together with it if that is still on its way, perhaps on an earlier connection. */
  #repeated(packetId: number, bytes: number): void {
    const { unreleased } = this.#options.session;
    this.#node.counters.duplicates++;
    const pending = this.#enqueue(ackHeaders.pubrec, packetId, bytes);
    if (unreleased.state(packetId) !== idStates.arriving) {
      this.#acks.skip(pending);
      return;
    }
    unreleased.whenSettled(packetId, (state) => {
      if (state !== idStates.free) this.#acks.skip(pending);
      else if (this.#closed) this.#acks.skip(pending);
      else this.#hold(pending);
    });
  }

  #messageOf(publish: Publish): Message | undefined {
    return this.#node.fanOut.messageOf(publish, this.#options.session.clientId);
  }

  #accept(publish: Publish): Promise<void> | undefined {
    const accepted = this.#options.device.accept(publish);
    publish.known.routed = accepted !== undefined;
    return accepted;
  }

  #enqueue(ack: number, packetId: number, bytes: number): Pending {
    const pending = this.#node.pendings.take(this);
    pending.ack = ack;
    pending.packetId = packetId;
    pending.bytes = bytes;
    pending.arrivedMs = this.nowMs;
    this.#window.take(bytes);
    this.#acks.add(pending);
    return pending;
  }

  #process(pending: Pending, accepted: Promise<void> | undefined, message: Message | undefined): void {
    pending.message = message;
    pending.routed = accepted !== undefined;
    if (accepted) accepted.then(pending.onStored, pending.onNotStored);
    else this.#acks.stored(pending);
  }

  /** Stored, in its turn: into the queues of its subscribers. */
  #keep(pending: Pending): void {
    const { message } = pending;
    const { fanOut } = this.#node;
    if (message) pending.audience = fanOut.address(message);
    const keeping = pending.audience && fanOut.keep(pending.audience);
    if (keeping) keeping.then(pending.onKept, pending.onNotStored);
    else this.onKept(pending);
  }

  #onLeft(pending: Pending): void {
    const { audience, bytes } = pending;
    if (audience) this.#node.fanOut.deliver(audience);
    this.#window.give(bytes);
    this.#node.pendings.give(pending);
    this.#onRoom();
  }

  #onRoom(): void {
    if (!this.#closed) this.#options.host.resume();
  }

  #hold(pending: Pending): void {
    pending.failed = true;
    this.#held = true;
  }

  #refuse(pending: Pending, { message }: PubSubError): void {
    if (this.#options.version < 5) {
      this.#hold(pending);
      this.#options.host.refuse(new Refusal(reasonCodes.implementationSpecific, message, 'publish_refused'));
      return;
    }
    this.#node.counters.negativeAcks++;
    pending.reasonCode = reasonCodes.implementationSpecific;
    pending.reason = message;
    this.#acks.skip(pending);
  }

  #onDeadline(): void {
    const { storeDeadlineMs } = this.#node.limits;
    const message = `The store has not taken a message for ${storeDeadlineMs} ms. Connect and send it again.`;
    const reason = this.#held ? 'store_unavailable' : 'store_deadline';
    this.#options.host.refuse(new Refusal(reasonCodes.quotaExceeded, message, reason));
  }

  /** Once per connection: a client that sends nothing else would fill the log. */
  #complain(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    const { clientId } = this.#options.session;
    // A client's mistake is told in a sentence; anything else with where it happened.
    const why = error instanceof PubSubError ? { code: error.code, reason: error.message } : { err: error };
    this.#node.logger.warn({ clientId, ...why }, 'mqtt publish not stored');
  }
}

function isFinal(error: unknown): error is PubSubError {
  return error instanceof PubSubError && error.code === 'INVALID_ARGUMENT';
}
