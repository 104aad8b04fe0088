import type { DeviceFault, Verdict } from './verdict.ts';

/** Bits of a message's state. */
const sent = 1;
const accepted = 2;
const received = 4;
const ackConfirmed = 8;

/**
 * The proof's double-entry book: what was sent and accepted on the MQTT side, what came out of the subscription on the
 * other. Kept flat, 13 bytes a message, and sized before the run, so its memory is known and bounded.
 *
 * A message is *accepted* by the first packet with which the server takes it over: PUBACK at QoS 1, PUBREC at QoS 2
 * (MQTT-4.3.3: from there on the sender may not send it again; so this is earlier, and stricter, than waiting for
 * PUBCOMP). At QoS 0 nothing is ever acknowledged: it counts as accepted when the connection that carried it was closed
 * in good order, with everything written; what went out on a connection that broke promises nothing.
 *
 * Order is judged on first deliveries: a subscription with ordering hands out a key's messages as they were stored, and a
 * repetition (redelivery, or a QoS 1 duplicate) may rightly come later.
 */
export class Ledger {
  readonly #messagesPerDevice: number;
  readonly #states: Uint8Array;
  readonly #checksums: Uint32Array;
  readonly #messageIds: Float64Array; // fingerprint of the first message id, 0 = none
  readonly #highestSeq: Uint32Array;
  readonly #duplicatesOf: Uint32Array;
  readonly #outOfOrderOf: Uint32Array;
  /** Further message ids of messages that were stored twice → whether their ack was confirmed. */
  readonly #extraIds = new Map<string, boolean>();
  readonly #extraIdsMax: number;
  #received = 0;
  #awaited = 0;
  #redelivered = 0;
  #redeliveredAfterAck = 0;
  #corrupted = 0;
  #unexpected = 0;

  constructor(size: { readonly devices: number; readonly messagesPerDevice: number; readonly extraIdsMax?: number }) {
    const messages = size.devices * size.messagesPerDevice;
    this.#messagesPerDevice = size.messagesPerDevice;
    this.#extraIdsMax = size.extraIdsMax ?? 100_000;
    this.#states = new Uint8Array(messages);
    this.#checksums = new Uint32Array(messages);
    this.#messageIds = new Float64Array(messages);
    this.#highestSeq = new Uint32Array(size.devices);
    this.#duplicatesOf = new Uint32Array(size.devices);
    this.#outOfOrderOf = new Uint32Array(size.devices);
  }

  /** Different messages received. */
  get received(): number {
    return this.#received;
  }

  /** Accepted and not received yet. */
  get awaited(): number {
    return this.#awaited;
  }

  /** Deliveries of the same message id beyond the first. */
  get redelivered(): number {
    return this.#redelivered;
  }

  sent(device: number, seq: number, checksum: number): void {
    const at = this.#indexOf(device, seq);
    this.#states[at]! |= sent;
    this.#checksums[at] = checksum;
  }

  /** A sequence number that was never sent (its device dropped it) is passed over. */
  accepted(device: number, seq: number): void {
    const at = this.#indexOf(device, seq);
    const state = this.#states[at]!;
    if ((state & sent) === 0 || (state & accepted) !== 0) return;
    this.#states[at] = state | accepted;
    if ((state & received) === 0) this.#awaited += 1;
  }

  /** One delivery; call in the order of delivery. */
  delivered(device: number, seq: number, messageId: string, checksum: number): void {
    if (!this.#wasSent(device, seq)) {
      this.#unexpected += 1;
      return;
    }
    const at = this.#indexOf(device, seq);
    if ((this.#states[at]! & received) === 0) this.#firstDelivery(device, seq, messageId, checksum);
    else if (this.#messageIds[at] === fingerprint(messageId))
      this.#redelivery((this.#states[at]! & ackConfirmed) !== 0);
    else this.#otherId(device, messageId);
  }

  /** The server has confirmed the acknowledgement of this delivery: it must not come again. */
  ackConfirmed(device: number, seq: number, messageId: string): void {
    if (!this.#wasSent(device, seq)) return;
    const at = this.#indexOf(device, seq);
    if (this.#messageIds[at] === fingerprint(messageId)) this.#states[at]! |= ackConfirmed;
    else if (this.#extraIds.has(messageId)) this.#extraIds.set(messageId, true);
  }

  /** @param worstMax how many devices, and how many missing messages of each, to name. */
  verdict(worstMax = 5): Verdict {
    let lost = 0;
    let unknown = 0;
    for (const state of this.#states) {
      if (state === sent) unknown += 1;
      if ((state & accepted) !== 0 && (state & received) === 0) lost += 1;
    }
    return {
      lost,
      unknown,
      duplicates: sum(this.#duplicatesOf),
      redelivered: this.#redelivered,
      redeliveredAfterAck: this.#redeliveredAfterAck,
      outOfOrder: sum(this.#outOfOrderOf),
      corrupted: this.#corrupted,
      unexpected: this.#unexpected,
      worst: this.#worst(worstMax),
    };
  }

  #firstDelivery(device: number, seq: number, messageId: string, checksum: number): void {
    const at = this.#indexOf(device, seq);
    this.#states[at]! |= received;
    this.#messageIds[at] = fingerprint(messageId);
    this.#received += 1;
    if ((this.#states[at]! & accepted) !== 0) this.#awaited -= 1;
    if (this.#checksums[at] !== checksum) this.#corrupted += 1;
    if (seq < this.#highestSeq[device]!) this.#outOfOrderOf[device]! += 1;
    else this.#highestSeq[device] = seq;
  }

  #otherId(device: number, messageId: string): void {
    const confirmed = this.#extraIds.get(messageId);
    if (confirmed !== undefined) {
      this.#redelivery(confirmed);
      return;
    }
    this.#duplicatesOf[device]! += 1;
    // Past the bound a redelivery of a duplicate counts as one more duplicate: by then the run has failed or is QoS 1.
    if (this.#extraIds.size < this.#extraIdsMax) this.#extraIds.set(messageId, false);
  }

  #redelivery(wasConfirmed: boolean): void {
    this.#redelivered += 1;
    if (wasConfirmed) this.#redeliveredAfterAck += 1;
  }

  #worst(worstMax: number): DeviceFault[] {
    const faults: DeviceFault[] = [];
    for (const device of this.#highestSeq.keys()) {
      const { lost, missing } = this.#missingOf(device, worstMax);
      const fault = {
        device,
        lost,
        duplicates: this.#duplicatesOf[device]!,
        outOfOrder: this.#outOfOrderOf[device]!,
        missing,
      };
      if (weight(fault) > 0) faults.push(fault);
    }
    return faults.sort((a, b) => weight(b) - weight(a)).slice(0, worstMax);
  }

  #missingOf(device: number, missingMax: number): { readonly lost: number; readonly missing: readonly number[] } {
    const missing: number[] = [];
    let lost = 0;
    for (let seq = 1; seq <= this.#messagesPerDevice; seq += 1) {
      const state = this.#states[this.#indexOf(device, seq)]!;
      if ((state & accepted) === 0 || (state & received) !== 0) continue;
      lost += 1;
      if (missing.length < missingMax) missing.push(seq);
    }
    return { lost, missing };
  }

  #wasSent(device: number, seq: number): boolean {
    const known = device >= 0 && device < this.#highestSeq.length && seq >= 1 && seq <= this.#messagesPerDevice;
    return known && (this.#states[this.#indexOf(device, seq)]! & sent) !== 0;
  }

  #indexOf(device: number, seq: number): number {
    return device * this.#messagesPerDevice + seq - 1;
  }
}

function weight(fault: DeviceFault): number {
  return fault.lost + fault.duplicates + fault.outOfOrder;
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** 53 bits of a message id, never 0; ids are opaque strings. Two ids of one message collide once in 2^53. */
function fingerprint(messageId: string): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (let at = 0; at < messageId.length; at += 1) {
    const code = messageId.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b) ^ (high >>> 13);
  }
  return ((high >>> 0) % 2 ** 21) * 2 ** 32 + (low >>> 0) + 1;
}
