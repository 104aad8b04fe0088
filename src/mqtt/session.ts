import type { ConnectionRef } from '../store/store.ts';
import type { Subscription } from './subscription.ts';
import type { UnreleasedIds } from './unreleased-ids.ts';

/** MQTT5 §4.1: the session of a connected client, as its connection sees it. */
export interface Session {
  readonly clientId: string;
  readonly connection: ConnectionRef;
  /** Unique for ever: a clean start makes another. The scope of QoS 2 packet ids (I6). */
  readonly sessionId: string;
  /** It is in the state: it outlives the connection, or did so before. */
  readonly kept: boolean;
  /** It was there before, and which packet ids it had not released is for the store to know. */
  readonly recalled: boolean;
  /** How long it outlives the connection, as granted. */
  readonly expirySeconds: number;
  readonly subscriptions: Map<string, Subscription>;
  readonly unreleased: UnreleasedIds;
  /** See `ConnectGrant`. */
  readonly sentUpTo: number | undefined;
}
