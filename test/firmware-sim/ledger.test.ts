import { beforeEach, describe, expect, it } from 'vitest';
import { Ledger } from '../../firmware-sim/ledger.ts';

const clean = {
  lost: 0,
  unknown: 0,
  duplicates: 0,
  redelivered: 0,
  redeliveredAfterAck: 0,
  outOfOrder: 0,
  corrupted: 0,
  unexpected: 0,
};

describe('ledger', () => {
  let ledger: Ledger;

  /** Two devices with five messages each, all sent and accepted. */
  beforeEach(() => {
    ledger = new Ledger({ devices: 2, messagesPerDevice: 5 });
    for (const device of [0, 1]) {
      for (let seq = 1; seq <= 5; seq += 1) {
        ledger.sent(device, seq, 100 + seq);
        ledger.accepted(device, seq);
      }
    }
  });

  function deliver(device: number, ...seqs: number[]): void {
    for (const seq of seqs) ledger.delivered(device, seq, `id-${device}-${seq}`, 100 + seq);
  }

  it('ledger - everything once and in order is a clean verdict', () => {
    deliver(1, 1, 2, 3);
    deliver(0, 1, 2, 3, 4, 5);
    deliver(1, 4, 5);
    expect(ledger.verdict()).toEqual({ ...clean, worst: [] });
    expect([ledger.received, ledger.awaited]).toEqual([10, 0]);
  });

  it('ledger - an accepted message that never comes is lost, and named', () => {
    deliver(0, 1, 2, 3, 4, 5);
    deliver(1, 1, 3, 5);
    expect(ledger.awaited).toBe(2);
    const worst = [{ device: 1, lost: 2, duplicates: 0, outOfOrder: 0, missing: [2, 4] }];
    expect(ledger.verdict()).toEqual({ ...clean, lost: 2, worst });
  });

  it('ledger - a message that was sent but never accepted may come or not', () => {
    ledger = new Ledger({ devices: 1, messagesPerDevice: 3 });
    for (const seq of [1, 2]) ledger.sent(0, seq, 100 + seq);
    deliver(0, 1);
    expect(ledger.verdict()).toEqual({ ...clean, unknown: 1, worst: [] });
    ledger.accepted(0, 1);
    ledger.accepted(0, 3); // dropped by the device, never sent
    expect(ledger.awaited).toBe(0);
  });

  it('ledger - another message id for the same message is a duplicate', () => {
    deliver(0, 1);
    ledger.delivered(0, 1, 'other', 101);
    ledger.delivered(0, 1, 'third', 101);
    expect(ledger.verdict()).toMatchObject({ duplicates: 2, redelivered: 0 });
  });

  it('ledger - the same message id again is a redelivery, and wrong only after its ack was confirmed', () => {
    deliver(0, 1, 1);
    expect(ledger.verdict()).toMatchObject({ duplicates: 0, redelivered: 1, redeliveredAfterAck: 0 });
    ledger.ackConfirmed(0, 1, 'id-0-1');
    deliver(0, 1);
    expect(ledger.verdict()).toMatchObject({ duplicates: 0, redelivered: 2, redeliveredAfterAck: 1 });
  });

  it('ledger - the ack of one copy of a duplicate says nothing of the other', () => {
    deliver(0, 1);
    ledger.ackConfirmed(0, 1, 'id-0-1');
    ledger.delivered(0, 1, 'other', 101);
    ledger.delivered(0, 1, 'other', 101);
    expect(ledger.verdict()).toMatchObject({ duplicates: 1, redelivered: 1, redeliveredAfterAck: 0 });
    ledger.ackConfirmed(0, 1, 'other');
    ledger.delivered(0, 1, 'other', 101);
    expect(ledger.verdict()).toMatchObject({ duplicates: 1, redelivered: 2, redeliveredAfterAck: 1 });
  });

  it('ledger - a first delivery after a later one of its device is out of order; a repetition is not', () => {
    deliver(0, 1, 3, 2, 4, 1);
    expect(ledger.verdict()).toMatchObject({
      outOfOrder: 1,
      worst: [{ device: 1 }, { device: 0, outOfOrder: 1, missing: [5] }],
    });
  });

  it('ledger - other bytes than were sent are corruption', () => {
    ledger.delivered(0, 1, 'id', 999);
    expect(ledger.verdict()).toMatchObject({ corrupted: 1 });
  });

  it('ledger - a message that was never sent is unexpected', () => {
    ledger = new Ledger({ devices: 1, messagesPerDevice: 3 });
    ledger.sent(0, 1, 101);
    deliver(0, 2, 9, 0);
    deliver(7, 1);
    expect(ledger.verdict()).toMatchObject({ unexpected: 4 });
    expect(ledger.received).toBe(0);
  });

  it('ledger - past its bound on duplicates it still counts, and forgets only which they were', () => {
    ledger = new Ledger({ devices: 1, messagesPerDevice: 1, extraIdsMax: 1 });
    ledger.sent(0, 1, 101);
    for (const id of ['a', 'b', 'c', 'c', 'b']) ledger.delivered(0, 1, id, 101);
    expect(ledger.verdict()).toMatchObject({ duplicates: 3, redelivered: 1 });
  });
});
