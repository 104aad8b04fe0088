import type { ConnectRequest, TakenWill } from '../store.ts';
import { staged, under } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import type { MqttEnvironment, WillRecord } from './mqtt-environment.ts';

/** Wills that one sweep hands out. */
const takenTogether = 100;

/**
 * The wills of connected clients, and of those that have left and whose delay has not passed.
 *
 *     CONNECT ──► with its connection ──left──► waiting (its delay) ──► taken ──willSent──► gone
 *                                └─ DISCONNECT ─► gone          └─ session resumed ─► gone
 *
 * On disk until it is gone: what was taken when the process died is handed out again.
 */
export class MqttWills {
  readonly #env: MqttEnvironment;
  readonly #commit: GroupCommit;
  readonly #clock: () => number;
  readonly #wills = new Map<string, WillRecord>(); // by connection
  readonly #ofClient = new Map<string, string>(); // client id -> its connection with a will that is not taken

  constructor(env: MqttEnvironment, commit: GroupCommit, clock: () => number) {
    this.#env = env;
    this.#commit = commit;
    this.#clock = clock;
  }

  /** Takes over what an earlier process left; its clients have left with it. */
  open(expiryOf: (clientId: string) => number): void {
    for (const { key, value } of this.#env.state.getRange(under<['will', string]>(['will']))) {
      const record = value as WillRecord;
      this.#note(
        key[1],
        record.dueMs > 0 ? record : { ...record, dueMs: this.#due(record, expiryOf(record.clientId)) },
      );
    }
  }

  /**
   * A connection begins, and whatever will the client had before is settled.
   * @param stage writes the rest of what the connection begins with, in the same transaction, if anything
   */
  async begin(
    request: ConnectRequest,
    resumed: boolean,
    stage: (() => void) | undefined,
  ): Promise<TakenWill | undefined> {
    const { clientId, connection, will } = request;
    const earlier = this.#ofClient.get(clientId);
    const record = earlier === undefined ? undefined : this.#wills.get(earlier)!;
    const waits = record && (record.dueMs === 0 ? record.delaySeconds > 0 : record.dueMs > this.#clock());
    const cancelled = resumed && waits; // MQTT-3.1.3-9
    const fresh = will && { ...will, clientId, dueMs: 0 };
    if (stage || cancelled || fresh) {
      await this.#commit.exec(() => {
        stage?.();
        if (cancelled) this.#stage(earlier!, undefined);
        if (fresh) this.#stage(connection, fresh);
      });
    }
    if (cancelled) this.#forget(earlier!);
    const taken = record && !cancelled ? this.#take(earlier!) : undefined;
    if (fresh) this.#note(connection, fresh);
    return taken;
  }

  /** A connection is over. @param stage as above. @returns its will, if it is to be sent now */
  async leave(
    connection: string,
    send: boolean,
    expirySeconds: number,
    stage: (() => void) | undefined,
  ): Promise<TakenWill | undefined> {
    const record = this.#wills.get(connection);
    const waiting = record && send ? { ...record, dueMs: this.#due(record, expirySeconds) } : undefined;
    if (stage || record) {
      await this.#commit.exec(() => {
        stage?.();
        if (record) this.#stage(connection, waiting);
      });
    }
    if (!waiting) {
      this.#forget(connection);
      return undefined;
    }
    this.#note(connection, waiting);
    return waiting.dueMs <= this.#clock() ? this.#take(connection) : undefined;
  }

  /** The client has lost its connection, and nobody came to write that down. */
  orphan(clientId: string, expirySeconds: number): void {
    const connection = this.#ofClient.get(clientId);
    const record = connection === undefined ? undefined : this.#wills.get(connection);
    if (record?.dueMs === 0) this.#note(connection!, { ...record, dueMs: this.#due(record, expirySeconds) });
  }

  /** Those whose time has come; more than this may be due. */
  takeDue(): TakenWill[] {
    const nowMs = this.#clock();
    const taken: TakenWill[] = [];
    for (const connection of [...this.#ofClient.values()]) {
      const { dueMs } = this.#wills.get(connection)!;
      if (dueMs > 0 && dueMs <= nowMs) taken.push(this.#take(connection));
      if (taken.length === takenTogether) break;
    }
    return taken;
  }

  async sent({ id }: TakenWill): Promise<void> {
    await this.#commit.exec(() => this.#stage(id, undefined));
    this.#forget(id);
  }

  #take(connection: string): TakenWill {
    const { clientId, message } = this.#wills.get(connection)!;
    if (this.#ofClient.get(clientId) === connection) this.#ofClient.delete(clientId);
    return { id: connection, clientId, message };
  }

  /** MQTT-3.1.3-9: after its delay or when the session ends, whichever comes first. */
  #due({ delaySeconds }: WillRecord, expirySeconds: number): number {
    return this.#clock() + Math.min(delaySeconds, expirySeconds) * 1000;
  }

  /** To be called while a transaction is assembled. */
  #stage(connection: string, record: WillRecord | undefined): void {
    const { state } = this.#env;
    staged(record ? state.put(['will', connection], record) : state.remove(['will', connection]));
  }

  #note(connection: string, record: WillRecord): void {
    this.#wills.set(connection, record);
    this.#ofClient.set(record.clientId, connection);
  }

  #forget(connection: string): void {
    const record = this.#wills.get(connection);
    if (record && this.#ofClient.get(record.clientId) === connection) this.#ofClient.delete(record.clientId);
    this.#wills.delete(connection);
  }
}
