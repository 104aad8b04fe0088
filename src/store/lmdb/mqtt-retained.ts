import type { MqttStateLimits } from '../store.ts';
import { staged, under } from './environment.ts';
import type { GroupCommit } from './group-commit.ts';
import type { MqttEnvironment } from './mqtt-environment.ts';

/** The retained messages on disk; in memory only how large each is with its topic, for the bounds. */
export class MqttRetained {
  readonly #env: MqttEnvironment;
  readonly #commit: GroupCommit;
  readonly #limits: MqttStateLimits;
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(env: MqttEnvironment, commit: GroupCommit, limits: MqttStateLimits) {
    this.#env = env;
    this.#commit = commit;
    this.#limits = limits;
    for (const [topic, message] of this.all()) this.#note(topic, sizeOf(topic, message));
  }

  get messages(): number {
    return this.#sizes.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  *all(): Generator<[topic: string, message: Uint8Array]> {
    for (const { key, value } of this.#env.state.getRange(under<['retained', string]>(['retained']))) {
      yield [key[1], value as Uint8Array];
    }
  }

  /** @param onDisk called in the order in which they are on disk. @returns false: there is no room, and nothing changes */
  async set(topic: string, message: Uint8Array | undefined, onDisk: () => void): Promise<boolean> {
    let before: number | undefined;
    try {
      return await this.#commit.exec(
        () => {
          if (message && !this.#hasRoom(topic, sizeOf(topic, message))) return false;
          before = this.#sizes.get(topic);
          this.#note(topic, message && sizeOf(topic, message));
          staged(
            message ? this.#env.state.put(['retained', topic], message) : this.#env.state.remove(['retained', topic]),
          );
          return true;
        },
        (kept) => kept && onDisk(),
      );
    } catch (error) {
      this.#note(topic, before);
      throw error;
    }
  }

  #hasRoom(topic: string, bytes: number): boolean {
    const { retainedMessagesMax, retainedBytesMax } = this.#limits;
    const before = this.#sizes.get(topic);
    const messages = this.#sizes.size + (before === undefined ? 1 : 0);
    return messages <= retainedMessagesMax && this.#bytes - (before ?? 0) + bytes <= retainedBytesMax;
  }

  #note(topic: string, bytes: number | undefined): void {
    this.#bytes += (bytes ?? 0) - (this.#sizes.get(topic) ?? 0);
    if (bytes === undefined) this.#sizes.delete(topic);
    else this.#sizes.set(topic, bytes);
  }
}

function sizeOf(topic: string, message: Uint8Array): number {
  return Buffer.byteLength(topic) + message.length;
}
