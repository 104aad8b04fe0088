import type { OfflineQueue } from './offline-queue.ts';
import { UnreleasedIds } from './unreleased-ids.ts';

/** One subscription of a session, in Aedes' words. */
export interface SessionSubscription {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  // MQTT 5 only:
  readonly rh?: number; // retain handling
  readonly rap?: boolean; // retain as published
  readonly nl?: boolean; // no local
  readonly subscriptionIdentifier?: number;
}

/** What the table keeps of a session, under its client id. */
export interface SessionRecord {
  /** Unique for ever: a clean start makes another. The scope of QoS 2 packet ids (I6). */
  readonly sessionId: string;
  /** How long it outlives its connection. 0: not at all; such a record is left behind by a crash only. */
  readonly expirySeconds: number;
  readonly subscriptions: readonly SessionSubscription[];
  /** When its connection ended; 0 while it is connected. Unix epoch. */
  readonly lastSeenMs: number;
}

export interface SessionStart {
  readonly clientId: string;
  readonly sessionId: string;
  readonly expirySeconds: number;
  /** False: it ends with its connection, and nothing of it is in the table. */
  readonly kept: boolean;
  /** It was read from the table: which packet ids it had not released before is for the store to know. */
  readonly recalled: boolean;
  readonly queue: OfflineQueue;
}

/** MQTT5 §4.1: what the server knows of a client beyond a connection. */
export class Session {
  readonly clientId: string;
  readonly sessionId: string;
  readonly kept: boolean;
  readonly recalled: boolean;
  readonly queue: OfflineQueue;
  readonly subscriptions = new Map<string, SessionSubscription>();
  readonly unreleased = new UnreleasedIds();
  expirySeconds: number;
  lastSeenMs = 0;
  ended = false;

  constructor(start: SessionStart) {
    this.clientId = start.clientId;
    this.sessionId = start.sessionId;
    this.expirySeconds = start.expirySeconds;
    this.kept = start.kept;
    this.recalled = start.recalled;
    this.queue = start.queue;
  }

  record(): SessionRecord {
    const { sessionId, expirySeconds, lastSeenMs } = this;
    return { sessionId, expirySeconds, lastSeenMs, subscriptions: [...this.subscriptions.values()] };
  }

  expired(nowMs: number): boolean {
    return this.lastSeenMs > 0 && nowMs >= this.lastSeenMs + this.expirySeconds * 1000;
  }
}
