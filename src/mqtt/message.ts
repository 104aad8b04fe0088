/** An application message on its way to subscribers; for one of them, once it is addressed. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Client id of its publisher, for No Local. */
  readonly publisher: string;
  /** When it is not worth delivering any more (MQTT5 §3.3.2.3.3), Unix epoch; 0: never. */
  readonly expiresMs: number;
  /** See `encodeProperties`. */
  readonly properties: Buffer;
  /** The Subscription Identifiers that its subscriber gets to see. */
  readonly identifiers: readonly number[];
}

export const noIdentifiers: readonly number[] = [];

export function hasExpired({ expiresMs }: Message, nowMs: number): boolean {
  return expiresMs > 0 && nowMs >= expiresMs;
}
