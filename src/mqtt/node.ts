import type { Uplink } from '../bridge/uplink.ts';
import type { MqttState } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Broker } from './broker.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { MqttCounters } from './counters.ts';
import type { Departures } from './departures.ts';
import type { FanOut } from './fan-out.ts';
import type { Gate } from './gate.ts';
import type { MqttLimits } from './limits.ts';
import type { FlushTurn } from './outbox.ts';
import type { PendingPool } from './pending.ts';
import type { ReasonCode } from './refusal.ts';
import type { RetainedMessages } from './retained-messages.ts';
import type { Subscribers } from './subscribers.ts';
import type { UnreleasedMemory } from './unreleased-memory.ts';
import type { Wills } from './wills.ts';

/** Who asks to be let in. */
export interface Credentials {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly remoteAddress: string;
}

export interface Denial {
  readonly code: ReasonCode; // badUserNameOrPassword, notAuthorized, …
  readonly message: string;
}

/** @returns undefined to let the client in. A throw or rejection is answered "server unavailable". */
export type Authenticate = (credentials: Credentials) => Denial | undefined | Promise<Denial | undefined>;

/** What all connections of one server share. */
export interface MqttNode {
  readonly limits: MqttLimits;
  readonly counters: MqttCounters;
  /** Unix epoch, ms. */
  readonly clock: () => number;
  readonly logger: Logger;
  readonly uplink: Uplink;
  readonly state: MqttState;
  readonly broker: Broker;
  readonly subscribers: Subscribers;
  readonly fanOut: FanOut;
  readonly retained: RetainedMessages;
  readonly wills: Wills;
  readonly departures: Departures;
  readonly unreleased: UnreleasedMemory;
  readonly authenticate: Authenticate | undefined;
  readonly turn: FlushTurn;
  readonly pendings: PendingPool;
  readonly inflight: ByteBudget;
  /** Bytes of QoS 0 messages on their way to the store. */
  qos0Bytes: number;
  /** Every open connection. */
  readonly gates: Set<Gate>;
  /** The connection of each client that is past its authentication, until everything of it is over. */
  readonly live: Map<string, Gate>;
}
