import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import type { MqttState, MqttStateLimits, Store } from '../../../src/store/store.ts';
import { makeTempDirectory } from '../../support/temp-directory.ts';
import { WatchedState } from './watched-state.ts';

/** A real store in a directory of its own, for as long as the test lasts: what is left when a server is killed. */
export class Disk {
  readonly #directory = makeTempDirectory();
  readonly #clock: () => number;
  #store!: Store;
  #waiting: { sweeps: number; readonly resolve: () => void }[] = [];
  /** Called before every write; may delay it or make it fail. */
  beforeWrite: () => Promise<void> = async () => {};

  private constructor(clock: () => number) {
    this.#clock = clock;
  }

  static async open(clock: () => number = Date.now): Promise<Disk> {
    const disk = new Disk(clock);
    disk.#store = await openLmdbStore(disk.#directory.path, clock);
    return disk;
  }

  state(limits: MqttStateLimits): MqttState {
    return new WatchedState(
      this.#store.mqttState(limits),
      () => this.beforeWrite(),
      () => this.#onSwept(),
    );
  }

  /** Resolves when servers have looked after sessions and wills, and dealt with what they found. */
  swept(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ sweeps: 3, resolve }));
  }

  #onSwept(): void {
    for (const waiting of this.#waiting) if (--waiting.sweeps === 0) waiting.resolve();
    this.#waiting = this.#waiting.filter(({ sweeps }) => sweeps > 0);
  }

  /** The server that used it is not there any more as far as the store is concerned, and was not asked. */
  async kill(): Promise<void> {
    await this.#store.close();
    this.#store = await openLmdbStore(this.#directory.path, this.#clock);
  }

  async remove(): Promise<void> {
    await this.#store.close();
    this.#directory.remove();
  }
}
