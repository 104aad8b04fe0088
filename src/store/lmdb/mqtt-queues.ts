import type { MqttStateLimits, QueuedMessage, QueueEntry, QueuePage } from '../store.ts';
import { staged, under } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import type { MqttEnvironment, QueueRecord } from './mqtt-environment.ts';

interface Queue {
  last: number;
  messages: number;
  bytes: number;
  /** Being removed by the transaction in flight: what it will remove is still there to be read. */
  readonly leaving: Set<number>;
}

/** Messages of an ended session that one transaction removes, so that appends never wait long behind it. */
const droppedTogether = 1000;

/**
 * The queues of kept sessions. A message is one entry, written and removed. The number that was given out last is that of
 * the newest entry; when that one is settled, a record of its own takes note. How much is in a queue is counted in memory
 * while transactions are assembled; when one fails, its queues are looked through again.
 */
export class MqttQueues {
  readonly #env: MqttEnvironment;
  readonly #commit: GroupCommit;
  readonly #limits: MqttStateLimits;
  readonly #queues = new Map<string, Queue>();
  refused = 0;

  constructor(env: MqttEnvironment, commit: GroupCommit, limits: MqttStateLimits) {
    this.#env = env;
    this.#commit = commit;
    this.#limits = limits;
  }

  /** @param isKept asked when the entry's turn has come. @returns how many were not taken */
  async enqueue(entries: readonly QueueEntry[], isKept: (sessionId: string) => boolean): Promise<number> {
    const sessionIds = entries.map(({ sessionId }) => sessionId);
    return this.#change(sessionIds, () => {
      let refused = 0;
      for (const entry of entries) if (!isKept(entry.sessionId) || !this.#stageEntry(entry)) refused++;
      this.refused += refused;
      return refused;
    });
  }

  read(sessionId: string, after: number, messagesMax: number, bytesMax: number): QueuePage {
    const messages: QueuedMessage[] = [];
    let bytes = 0;
    const range = { start: [sessionId, after + 1] as [string, number], end: under<[string, number]>([sessionId]).end };
    const leaving = this.#queues.get(sessionId)?.leaving;
    for (const { key, value } of this.#env.queues.getRange(range)) {
      if (leaving?.has(key[1])) continue;
      bytes += value.length - 1;
      if (messages.length === messagesMax || (messages.length > 0 && bytes > bytesMax)) return { messages, more: true };
      messages.push({ id: key[1], received: value[0] === 1, message: value.subarray(1) });
    }
    return { messages, more: false };
  }

  async markReceived(sessionId: string, id: number): Promise<void> {
    await this.#change([sessionId], () => {
      const found = this.#env.queues.get([sessionId, id]);
      if (!found || found[0] === 1 || this.#queue(sessionId).leaving.has(id)) return;
      const value = Buffer.from(found);
      value[0] = 1;
      staged(this.#env.queues.put([sessionId, id], value));
    });
  }

  async settle(sessionId: string, ids: readonly number[]): Promise<void> {
    const queue = this.#queue(sessionId);
    try {
      await this.#change([sessionId], () => this.#stageSettled(sessionId, queue, ids));
    } finally {
      for (const id of ids) queue.leaving.delete(id);
    }
  }

  /** The session has ended: nothing is added any more, and what is there goes bit by bit. */
  async drop(sessionId: string): Promise<void> {
    for (let left = true; left; ) {
      left = await this.#commit.exec(() => {
        const keys = [...this.#env.queues.getKeys({ ...under<[string, number]>([sessionId]), limit: droppedTogether })];
        for (const key of keys) staged(this.#env.queues.remove(key));
        if (keys.length === droppedTogether) return true;
        staged(this.#env.state.remove(['queue', sessionId]));
        return false;
      });
    }
    this.#queues.delete(sessionId);
  }

  /** Sessions that have a queue, or had one; after a crash, perhaps one that has ended. */
  *sessionIds(): Generator<string> {
    for (const [, sessionId] of this.#env.state.getKeys(under<['queue', string]>(['queue']))) yield sessionId;
    let after: string | undefined;
    for (;;) {
      const start = after === undefined ? undefined : under<[string, number]>([after]).end;
      const [first] = this.#env.queues.getKeys({ ...(start && { start }), limit: 1 });
      if (!first) return;
      after = first[0];
      yield after;
    }
  }

  #stageEntry({ sessionId, message }: QueueEntry): boolean {
    const { sessionQueueMessagesMax, sessionQueueBytesMax } = this.#limits;
    const queue = this.#queue(sessionId);
    if (queue.messages >= sessionQueueMessagesMax || queue.bytes + message.length > sessionQueueBytesMax) return false;
    queue.last++;
    queue.messages++;
    queue.bytes += message.length;
    const value = Buffer.allocUnsafe(1 + message.length);
    value[0] = 0;
    value.set(message, 1);
    staged(this.#env.queues.put([sessionId, queue.last], value));
    return true;
  }

  #stageSettled(sessionId: string, queue: Queue, ids: readonly number[]): void {
    for (const id of ids) {
      const found = this.#env.queues.get([sessionId, id]);
      if (!found || queue.leaving.has(id)) continue;
      queue.leaving.add(id);
      queue.messages--;
      queue.bytes -= found.length - 1;
      staged(this.#env.queues.remove([sessionId, id]));
      if (id === queue.last) this.#stageRecord(sessionId, { settled: id });
    }
  }

  #stageRecord(sessionId: string, record: QueueRecord): void {
    staged(this.#env.state.put(['queue', sessionId], record));
  }

  async #change<T>(sessionIds: readonly string[], stage: () => T): Promise<T> {
    try {
      return await this.#commit.exec(stage);
    } catch (error) {
      for (const sessionId of sessionIds) this.#queues.delete(sessionId);
      throw error;
    }
  }

  #queue(sessionId: string): Queue {
    const known = this.#queues.get(sessionId);
    if (known) return known;
    const record = this.#env.state.get(['queue', sessionId]) as QueueRecord | undefined;
    const queue = { last: record?.settled ?? 0, messages: 0, bytes: 0, leaving: new Set<number>() };
    for (const { key, value } of this.#env.queues.getRange(under<[string, number]>([sessionId]))) {
      queue.last = Math.max(queue.last, key[1]);
      queue.messages++;
      queue.bytes += value.length - 1;
    }
    this.#queues.set(sessionId, queue);
    return queue;
  }
}
