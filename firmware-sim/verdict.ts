/** What is known of one device in the end; `missing` holds the first few lost sequence numbers. */
export interface DeviceFault {
  readonly device: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly missing: readonly number[];
}

export interface Verdict {
  /** Accepted by the server and never received from the subscription. */
  readonly lost: number;
  /** Sent, neither acknowledged nor received; no QoS promises anything about these. */
  readonly unknown: number;
  /** Stored more than once: the same device and sequence number under another message id. */
  readonly duplicates: number;
  /** The same message id again: a Pub/Sub redelivery. */
  readonly redelivered: number;
  /** Those of them that came after their acknowledgement had been confirmed. */
  readonly redeliveredAfterAck: number;
  /** First deliveries that came after a later message of their device. */
  readonly outOfOrder: number;
  /** Payload differs from what was sent. */
  readonly corrupted: number;
  /** Of this run, but never sent. */
  readonly unexpected: number;
  readonly worst: readonly DeviceFault[];
}
