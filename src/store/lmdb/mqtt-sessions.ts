import { staged, under } from './environment.ts';
import type { MqttEnvironment, SessionRecord } from './mqtt-environment.ts';

/** The kept sessions, by client id: on disk, and in memory as they are on disk. */
export class MqttSessions {
  readonly #env: MqttEnvironment;
  readonly #clock: () => number;
  readonly #records = new Map<string, SessionRecord>();
  readonly #ids = new Set<string>();

  /** Reads what an earlier process left: whoever was connected to it has left with it. */
  constructor(env: MqttEnvironment, clock: () => number) {
    this.#env = env;
    this.#clock = clock;
    for (const { key, value } of env.state.getRange(under<['session', string]>(['session']))) {
      const record = value as SessionRecord;
      this.set(key[1], { ...record, awayMs: record.awayMs || clock() });
    }
  }

  get size(): number {
    return this.#records.size;
  }

  readonly isKept = (sessionId: string): boolean => this.#ids.has(sessionId);

  readonly expiryOf = (clientId: string): number => this.#records.get(clientId)?.expirySeconds ?? 0;

  get(clientId: string): SessionRecord | undefined {
    return this.#records.get(clientId);
  }

  all(): ReadonlyMap<string, SessionRecord> {
    return this.#records;
  }

  hasExpired({ awayMs, expirySeconds }: SessionRecord): boolean {
    return awayMs > 0 && this.#clock() >= awayMs + expirySeconds * 1000;
  }

  /** Client ids. */
  expired(): string[] {
    return [...this.#records].flatMap(([clientId, record]) => (this.hasExpired(record) ? clientId : []));
  }

  /** To be called while a transaction is assembled; `set` or `delete` when it is on disk. */
  stage(clientId: string, record: SessionRecord | undefined): void {
    const { state } = this.#env;
    staged(record ? state.put(['session', clientId], record) : state.remove(['session', clientId]));
  }

  set(clientId: string, record: SessionRecord): void {
    const before = this.#records.get(clientId);
    if (before) this.#ids.delete(before.sessionId);
    this.#records.set(clientId, record);
    this.#ids.add(record.sessionId);
  }

  delete(clientId: string): void {
    const record = this.#records.get(clientId);
    if (record) this.#ids.delete(record.sessionId);
    this.#records.delete(clientId);
  }
}
