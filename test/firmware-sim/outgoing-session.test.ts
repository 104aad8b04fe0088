import { describe, expect, it } from 'vitest';
import { OutgoingSession } from '../../firmware-sim/outgoing-session.ts';

function sessionWith(qos: 1 | 2, count: number, windowMax = 20): OutgoingSession {
  const session = new OutgoingSession('t', qos, windowMax);
  for (let seq = 1; seq <= count; seq += 1) session.publish(seq, Buffer.from(`m${seq}`), 0);
  return session;
}

describe('outgoing session', () => {
  it('outgoing session - QoS 0 keeps nothing', () => {
    const session = new OutgoingSession('t', 0, 1);
    expect(session.publish(1, Buffer.from('x'), 0)).not.toHaveProperty('messageId');
    expect([session.size, session.hasRoom]).toEqual([0, true]);
  });

  it('outgoing session - the window closes at its bound and opens with an acknowledgement', () => {
    const session = sessionWith(1, 2, 2);
    expect(session.hasRoom).toBe(false);
    expect(session.finish('puback', 1)?.seq).toBe(1);
    expect(session.hasRoom).toBe(true);
  });

  it('outgoing session - MQTT-4.4.0-1: repeats carry DUP and the old packet ids, in the first order, released ones as PUBREL', () => {
    const session = sessionWith(2, 4);
    session.release(1);
    session.finish('pubcomp', 1);
    session.release(2);
    expect(session.resend(5)).toMatchObject([
      { cmd: 'pubrel', messageId: 2 },
      { cmd: 'publish', messageId: 3, dup: true, qos: 2, payload: Buffer.from('m3') },
      { cmd: 'publish', messageId: 4, dup: true, qos: 2, payload: Buffer.from('m4') },
    ]);
  });

  it('outgoing session - an acknowledgement of the wrong kind or id finishes nothing', () => {
    const [once, twice] = [sessionWith(1, 1), sessionWith(2, 1)];
    expect(once.finish('pubcomp', 1)).toBeUndefined();
    expect(once.finish('puback', 2)).toBeUndefined();
    expect(once.release(1)).toBeUndefined();
    expect(twice.finish('puback', 1)).toBeUndefined();
    expect(twice.finish('pubcomp', 1)).toBeUndefined(); // before PUBREC
    expect([once.size, twice.size]).toEqual([1, 1]);
  });

  it('outgoing session - MQTT-2.3.1-2: a packet id in use is passed over when the ids come round', () => {
    const session = sessionWith(1, 1); // packet id 1 stays in use
    for (let n = 0; n < 65_534; n += 1) session.finish('puback', session.publish(n, Buffer.alloc(0), 0).messageId!);
    expect(session.publish(9, Buffer.alloc(0), 0).messageId).toBe(2);
  });

  it('outgoing session - MQTT-3.2.2-5: without a session QoS 1 starts anew in order and QoS 2 gives up what is in doubt', () => {
    const once = sessionWith(1, 3).restart(0);
    expect(once.publish.map(({ messageId, dup, payload }) => [messageId, dup, payload.toString()])).toEqual([
      [4, false, 'm1'],
      [5, false, 'm2'],
      [6, false, 'm3'],
    ]);
    const session = sessionWith(2, 3);
    session.release(1);
    const twice = session.restart(0);
    expect(twice.publish).toEqual([]);
    expect(twice.done.map(({ seq }) => seq)).toEqual([1]);
    expect(twice.abandoned.map(({ seq }) => seq)).toEqual([2, 3]);
    expect(session.size).toBe(0);
  });
});
