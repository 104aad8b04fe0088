import type { Database } from 'lmdb';
import type { Environment } from './environment.ts';

/** What the embedded store keeps of MQTT, in two databases of the same environment and the same transactions. */
export interface MqttEnvironment {
  /** [kind, …] → SessionRecord, WillRecord, QueueRecord; the bytes of a retained message. */
  readonly state: Database<unknown, [kind: MqttKind, name: string]>;
  /** [sessionId, number] → 1 if received, 0 if not; then the message. */
  readonly queues: Database<Buffer, [sessionId: string, number: number]>;
}

export type MqttKind = 'session' | 'will' | 'queue' | 'retained';

/** Of a kept session, under its client id. */
export interface SessionRecord {
  readonly sessionId: string;
  /** Its last connection. */
  readonly connection: string;
  readonly expirySeconds: number;
  readonly subscriptions: Readonly<Record<string, unknown>>;
  /** When the connection ended; 0: connected. Of the store's clock. */
  readonly awayMs: number;
  readonly sentUpTo: number | null;
}

/** Under the connection that brought it. */
export interface WillRecord {
  readonly clientId: string;
  readonly message: Uint8Array;
  readonly delaySeconds: number;
  /** When it has to be published; 0: its client is connected. */
  readonly dueMs: number;
}

/** Under the session id. */
export interface QueueRecord {
  /** A number that was given out and settled; later ones are still in the queue. */
  readonly settled: number;
}

export function openMqttEnvironment({ root }: Environment): MqttEnvironment {
  return {
    state: root.openDB({ name: 'mqtt' }),
    queues: root.openDB({ name: 'mqtt-queues', encoding: 'binary' }),
  };
}
