/**
 * What MQTT servers know beyond a connection, and what they tell each other: which connection a client has, on whatever
 * node; sessions, the messages queued for them, retained messages, wills. One node keeps it in LMDB, many share it in
 * Redis; test/contract/mqtt-state.contract.ts pins it for both. What messages and subscriptions look like is the MQTT
 * side's business: here they are bytes and JSON.
 *
 * A CLIENT has one connection at a time. `connect` makes it so, atomically, and whoever had the client before has lost
 * it: every later call with the older connection changes nothing and says `lost`. `connect` resolves when the older
 * connection is over, its node is dead, or has not answered within a bound.
 *
 *     connect ──► connected ──disconnect, or its node died──► away ──connect──► connected (the session is resumed)
 *                                                               └──expiry──► ended: subscriptions and queue are gone
 *
 * A WILL is kept from `connect` on and leaves this state once: `disconnect`, `connect` (of the client's next connection)
 * or `sweep` hands it to exactly one caller, who publishes it and then says `willSent`. If that caller dies in between,
 * `sweep` hands it to another: a will is never lost, and doubled only by a crash in that moment. A will with a delay
 * waits for the delay or the end of the session, whichever comes first (MQTT-3.1.3-9), and is dropped when the client
 * resumes its session before.
 *
 * A session that is resumed with expiry 0 stays what it is, queue and all, until its connection is over; then it ends.
 *
 * A QUEUE holds what has to reach a kept session (QoS 1 and 2), from before the publisher's acknowledgement until the
 * subscriber's, in the order of `enqueue`, whether the client is connected or not. The MQTT side derives packet ids from
 * the numbers of its messages (MQTT-4.4.0-1 wants them again after a resume, on whatever node): a session's messages
 * are numbered 1, 2, 3 …, without a gap, and no number is ever used again.
 *
 * NODES show that they live by a beat. A node that has missed it is dead: its clients count as disconnected then, and
 * its interests are void. Times are those of the state's own clock, in ms.
 *
 * @throws PubSubError UNAVAILABLE from any method that is not said to be best effort: the outcome is unknown.
 */
export interface MqttState {
  /** This run of this process. */
  readonly node: string;

  /** Joins the others. What is there (kept sessions, retained messages, interests of others) comes as events, then `onCurrent`. */
  open(events: MqttStateEvents): Promise<void>;

  /** Durable on return. @throws RESOURCE_EXHAUSTED `sessionsMax` sessions are kept already */
  connect(request: ConnectRequest): Promise<ConnectGrant>;
  /** The connection is over. @returns the will to publish now, if it is this caller's to publish */
  disconnect(connection: ConnectionRef, departure: Departure): Promise<TakenWill | undefined>;
  /**
   * Durable on return if the session is kept; `onSession` has come here, and on the other nodes as far as they answer
   * within a bound. A session that is not kept makes its filters interests of this node and nothing else.
   */
  subscribe(connection: ConnectionRef, changes: SubscriptionChanges): Promise<Held>;
  willSent(will: TakenWill): Promise<void>;
  /**
   * Looks after what time does: beats, dead nodes, wills whose delay has passed, sessions that have expired. To be called
   * about every second on every node. @returns wills that this caller has to publish; bounded, so call again when it is full.
   */
  sweep(): Promise<TakenWill[]>;

  /**
   * Appends to the queues of sessions, in the order of the calls. Durable on return.
   * @returns how many were not taken: the session has ended, or its queue is full
   */
  enqueue(entries: readonly QueueEntry[]): Promise<number>;
  /** The oldest numbered above `after` (0: all), in order: at least one if there is any, no more than either bound. */
  queued(sessionId: string, after: number, messagesMax: number, bytesMax: number): Promise<QueuePage>;
  /** QoS 2: the subscriber has it (PUBREC), so only the release is sent from now on. Durable on return. */
  markReceived(sessionId: string, id: number): Promise<void>;
  /** The subscriber has acknowledged them for good. May be durable later than it returns: MQTT allows to send again. */
  settle(sessionId: string, ids: readonly number[]): Promise<void>;

  /**
   * Durable on return, and `onRetained` has come here.
   * @param message undefined removes it. @returns false: there is no room for one more
   */
  retain(topic: string, message: Uint8Array | undefined): Promise<boolean>;

  /** To subscribers connected to these nodes. Best effort: what a broken link or a full buffer loses is counted. */
  forward(nodes: readonly string[], message: Uint8Array): void;

  counters(): MqttStateCounters;
  /** Leaves: clients that are still here count as disconnected. */
  close(): Promise<void>;
}

/** Told by the state; none may throw. */
export interface MqttStateEvents {
  /** A kept session came to be or changed, on whatever node. */
  onSession(session: KeptSession): void;
  onSessionEnded(sessionId: string): void;
  /** Another connection has this client now: end it. Resolves when everything of it is over. */
  onReplaced(connection: ConnectionRef): Promise<void>;
  /** Something new is in the queue of a session whose client is connected here. Spurious calls are allowed. */
  onQueued(sessionId: string): void;
  onRetained(topic: string, message: Uint8Array | undefined): void;
  /** Clients of another node listen to this filter, or no longer do. */
  onInterest(node: string, filter: string, interested: boolean): void;
  /** It has left or died: all its interests are void. */
  onNodeGone(node: string): void;
  onForwarded(message: Uint8Array): void;
  /**
   * Word from other nodes was lost for a while: everything that `open` brings comes again, between this and `onCurrent`.
   * What did not come again by then is gone; until then it counts.
   */
  onReset(): void;
  onCurrent(): void;
}

export interface ConnectionRef {
  readonly clientId: string;
  /** Unique for ever. */
  readonly connection: string;
}

export interface ConnectRequest extends ConnectionRef {
  readonly cleanStart: boolean;
  /** How long the session outlives the connection; 0: it is not kept. */
  readonly expirySeconds: number;
  /** For the session, should a new one begin. */
  readonly newSessionId: string;
  readonly will: Will | undefined;
}

export interface ConnectGrant {
  readonly sessionId: string;
  /** The session was there before. */
  readonly present: boolean;
  /** Filter → what the MQTT side keeps of it; empty for a new session. */
  readonly subscriptions: Readonly<Record<string, unknown>>;
  /** The connection that had the session last; undefined for a new session. */
  readonly previous: string | undefined;
  /** As its `disconnect` said it; undefined: it did not come to that. 0 for a new session. */
  readonly sentUpTo: number | undefined;
  /** Of an earlier connection or session of this client: the caller publishes it. */
  readonly earlierWill: TakenWill | undefined;
}

export interface Will {
  readonly message: Uint8Array;
  readonly delaySeconds: number;
}

export interface TakenWill {
  readonly id: string;
  readonly clientId: string;
  readonly message: Uint8Array;
}

export interface Departure {
  /** False: the client said goodbye and took its will back. */
  readonly sendWill: boolean;
  /** As DISCONNECT may have changed it. */
  readonly expirySeconds: number;
  /**
   * The highest number of a queued message that was sent to the client, on this connection or before: beyond it nothing
   * needs a DUP. 0: none; undefined: not known.
   */
  readonly sentUpTo: number | undefined;
}

export interface SubscriptionChanges {
  readonly added: Readonly<Record<string, unknown>>;
  readonly removed: readonly string[];
}

/** held: done. lost: another connection has the client; nothing changed. */
export type Held = 'held' | 'lost';

export interface KeptSession {
  readonly clientId: string;
  readonly sessionId: string;
  readonly subscriptions: Readonly<Record<string, unknown>>;
}

export interface QueueEntry {
  readonly sessionId: string;
  readonly message: Uint8Array;
}

export interface QueuePage {
  readonly messages: readonly QueuedMessage[];
  /** There are more behind these, now. */
  readonly more: boolean;
}

export interface QueuedMessage {
  /** Its number. */
  readonly id: number;
  readonly message: Uint8Array;
  /** See `markReceived`. */
  readonly received: boolean;
}

export interface MqttStateLimits {
  readonly sessionsMax: number;
  /** Of one session; more is not taken. */
  readonly sessionQueueMessagesMax: number;
  readonly sessionQueueBytesMax: number;
  readonly retainedMessagesMax: number;
  readonly retainedBytesMax: number;
  /** How long `connect` waits for another node to end an earlier connection. */
  readonly takeoverMs: number;
  /** How long a node may be silent before it counts as dead. */
  readonly nodeDeadMs: number;
  /** What waits to be forwarded to other nodes; more is dropped and counted. */
  readonly forwardBytesMax: number;
}

export interface MqttStateCounters {
  readonly sessions: number; // kept, of the whole deployment
  readonly nodes: number; // others that are alive
  readonly queueRefused: number;
  readonly forwarded: number;
  readonly forwardDropped: number;
  readonly forwardReceived: number;
  readonly takeovers: number; // from other nodes
  readonly takeoverTimeouts: number;
  readonly resets: number;
  readonly retainedMessages: number;
  readonly retainedBytes: number;
}
