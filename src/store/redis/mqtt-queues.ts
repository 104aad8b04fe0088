import type { QueueEntry, QueuePage } from '../store.ts';
import { type Link, Unavailable } from './link.ts';
import { bufferOf } from './mqtt-fields.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { QueueLane } from './mqtt-queue-lane.ts';
import { loadScript } from './script.ts';

export interface QueuesOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly messagesMax: number;
  readonly bytesMax: number;
  /** A queue has something new, and its client is connected to this node. */
  readonly wake: (node: string, sessionId: string) => void;
}

const scripts = {
  attach: loadScript('mqtt-attach'),
  queued: loadScript('mqtt-queued'),
  receive: loadScript('mqtt-receive'),
  settle: loadScript('mqtt-settle'),
  end: loadScript('mqtt-end'),
};

/** A queue is made within this time from the grant of its session, or not at all; the mark of its end is kept for longer. */
const attachWithinMs = 300_000;
const endedMarkMs = 600_000;
/** Numbers that one call of a script takes. */
const numbersPerCall = 1000;

/**
 * The queues of sessions. They live on whatever server of a cluster, away from the sessions, so both cannot change in one
 * step. The order of steps makes up for it:
 *
 *     session begins ──► queue is made ──► CONNACK ──► SUBSCRIBE: only now can anything be meant for it
 *     session ends (`ended` lists it) ──► queue is removed, the mark stays ──► struck off the list
 *
 * A crash between two steps leaves a queue that the next connect makes, or an entry that a sweep of any node works off.
 * Without its queue nothing is ever taken for a session, so nothing is kept for one that has ended.
 */
export class Queues {
  readonly #options: QueuesOptions;
  readonly #lanes = new Map<string, QueueLane>();
  refused = 0;

  constructor(options: QueuesOptions) {
    this.#options = options;
  }

  /**
   * Makes the queue, should it not be there, and says which node to wake ('': none).
   * @throws Unavailable also when the session has ended meanwhile
   */
  async attach(sessionId: string, node: string, generation: number, grantedMs: number): Promise<void> {
    const { link } = this.#options;
    const args = [link.now(), node, generation, grantedMs, attachWithinMs];
    const reply = await this.#run(scripts.attach, sessionId, args);
    if (reply === null) throw new Unavailable('The session ended while its client connected; connect again.', true);
  }

  /** The client is no longer connected: nobody is to be woken. */
  async detach({ sessionId, generation }: { sessionId: string; generation: number }): Promise<void> {
    await this.attach(sessionId, '', generation, 0);
  }

  async enqueue(entries: readonly QueueEntry[]): Promise<number> {
    const bySession = new Map<string, Buffer[]>();
    for (const { sessionId, message } of entries) {
      const messages = bySession.get(sessionId);
      if (messages) messages.push(bufferOf(message));
      else bySession.set(sessionId, [bufferOf(message)]);
    }
    const refused = await Promise.all(
      [...bySession].map(([sessionId, messages]) => this.#lane(sessionId).append(messages)),
    );
    const sum = refused.reduce((total, count) => total + count, 0);
    this.refused += sum;
    return sum;
  }

  async queued(sessionId: string, after: number, messagesMax: number, bytesMax: number): Promise<QueuePage> {
    const { link, keys } = this.#options;
    const reply = await link.run(scripts.queued, keys.queue(sessionId), [after, messagesMax, bytesMax]);
    const [more, found] = reply as [number, (Buffer | number)[]];
    const messages = [];
    for (let i = 0; i < found.length; i += 3) {
      messages.push({ id: Number(found[i]), message: found[i + 1] as Buffer, received: found[i + 2] === 1 });
    }
    return { messages, more: more === 1 };
  }

  async markReceived(sessionId: string, id: number): Promise<void> {
    await this.#run(scripts.receive, sessionId, [id]);
  }

  async settle(sessionId: string, ids: readonly number[]): Promise<void> {
    for (let at = 0; at < ids.length; at += numbersPerCall) {
      await this.#run(scripts.settle, sessionId, ids.slice(at, at + numbersPerCall));
    }
  }

  /** The session has ended. */
  async end(sessionId: string): Promise<void> {
    const { link, keys } = this.#options;
    await this.#run(scripts.end, sessionId, [endedMarkMs]);
    await link.command('ZREM', keys.ended, sessionId);
  }

  #run(script: (typeof scripts)['attach'], sessionId: string, args: readonly (string | number)[]): Promise<unknown> {
    const { link, keys } = this.#options;
    return link.run(script, keys.queue(sessionId), args, { durable: true });
  }

  #lane(sessionId: string): QueueLane {
    const known = this.#lanes.get(sessionId);
    if (known) return known;
    const { link, keys, messagesMax, bytesMax, wake } = this.#options;
    const lane = new QueueLane({
      link,
      keys: keys.queue(sessionId),
      messagesMax,
      bytesMax,
      wake: (node) => wake(node, sessionId),
      idle: () => this.#lanes.delete(sessionId),
    });
    this.#lanes.set(sessionId, lane);
    return lane;
  }
}
