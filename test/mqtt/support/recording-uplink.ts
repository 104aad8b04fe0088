import type { DevicePublish, DeviceUplink, Uplink } from '../../../src/bridge/uplink.ts';

export interface Accepted {
  readonly clientId: string;
  readonly topic: string;
  readonly text: string;
  readonly publish: DevicePublish;
  /** Makes it durable. */
  readonly store: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * An uplink that keeps what it accepts in memory. Topics under `devices/` are routed, others are not. A message becomes
 * durable when `decide` says so; by default at once.
 */
export class RecordingUplink implements Uplink {
  /** In the order of `accept`, whatever became of them. */
  readonly accepted: Accepted[] = [];
  /** Durable, in the order in which they became so. */
  readonly stored: Accepted[] = [];
  readonly released: string[] = [];
  decide: (accepted: Accepted) => void = ({ store }) => store();
  onRelease: () => Promise<void> = async () => {};
  readonly #dedupe = new Map<string, Promise<void>>();
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  open(clientId: string): DeviceUplink {
    return { accept: (publish) => this.#accept(clientId, publish) };
  }

  async release(scope: string, packetId: number): Promise<void> {
    await this.onRelease();
    this.released.push(`${scope}/${packetId}`);
    this.#dedupe.delete(`${scope}/${packetId}`);
  }

  /** Resolves once `count` messages have been accepted since the start. */
  async acceptedCount(count: number): Promise<void> {
    if (this.accepted.length >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  texts(): string[] {
    return this.stored.map(({ text }) => text);
  }

  #accept(clientId: string, publish: DevicePublish): Promise<void> | undefined {
    if (!publish.topic.startsWith('devices/')) return undefined;
    const { dedupe } = publish;
    const key = dedupe && `${dedupe.scope}/${dedupe.packetId}`;
    const known = key === undefined ? undefined : this.#dedupe.get(key);
    if (known) return known;
    const done = this.#begin(clientId, publish);
    if (key !== undefined) {
      this.#dedupe.set(key, done);
      done.catch(() => this.#dedupe.delete(key));
    }
    return done;
  }

  #begin(clientId: string, publish: DevicePublish): Promise<void> {
    return new Promise((resolve, reject) => {
      const accepted: Accepted = {
        clientId,
        topic: publish.topic,
        text: Buffer.from(publish.payload).toString(),
        publish: { ...publish, payload: Buffer.from(publish.payload) },
        store: () => {
          this.stored.push(accepted);
          resolve();
        },
        fail: reject,
      };
      this.accepted.push(accepted);
      this.decide(accepted);
      for (const { count, resolve: reached } of this.#waiting) if (this.accepted.length >= count) reached();
    });
  }
}
