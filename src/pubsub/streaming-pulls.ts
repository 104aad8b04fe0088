import { PubSubError } from '../domain/errors.ts';
import type { Store } from '../store/store.ts';
import type { Subscribe, Subscriptions } from './pubsub.ts';
import type { Schedule } from './schedule.ts';
import { StreamingPull, stopping } from './streaming-pull.ts';
import type { StreamingPullBounds } from './streaming-pull-bounds.ts';
import { StreamGroup } from './streaming-pull-group.ts';
import type { StreamOutlet, StreamSettings } from './streaming-pull-outlet.ts';
import { WatchedSubscriber } from './streaming-pull-watch.ts';

export interface StreamingPullsOptions {
  readonly store: Pick<Store, 'onCatalogChange'>;
  readonly subscriber: Subscribe;
  readonly subscriptions: Pick<Subscriptions, 'get'>;
  readonly clock: () => number;
  readonly schedule: Schedule;
  /** 0..1; spreads the ends of streams that were opened together. */
  readonly random: () => number;
  readonly bounds: StreamingPullBounds;
}

/** All streams of this node. */
export class StreamingPulls {
  /** What every doorway must settle messages through, so that the streams learn of it. */
  readonly subscriber: Subscribe;
  readonly #options: StreamingPullsOptions;
  readonly #groups = new Map<string, StreamGroup>();
  readonly #stopWatching: () => void;
  #open = 0;
  #opened = 0;
  #refused = 0;
  #failed = 0;
  #closed = false;

  constructor(options: StreamingPullsOptions) {
    this.#options = options;
    this.subscriber = new WatchedSubscriber(options.subscriber, this.#groups, options.clock);
    this.#stopWatching = options.store.onCatalogChange((name: string | undefined) => this.#changed(name));
  }

  counters() {
    let held = 0;
    for (const group of this.#groups.values()) held += group.held;
    return {
      streams: this.#open,
      streamMessagesHeld: held,
      streamsOpened: this.#opened,
      streamsRefused: this.#refused,
      streamsEndedByServer: this.#failed,
    };
  }

  /**
   * Begins to hand out messages of a subscription. That there is none of this name, or that it is detached, is told to
   * the outlet, as whatever ends the stream later.
   * @throws RESOURCE_EXHAUSTED as many streams as may are open; UNAVAILABLE the server is closing
   */
  open(name: string, settings: StreamSettings, outlet: StreamOutlet): StreamingPull {
    if (this.#closed) throw stopping();
    if (this.#open >= this.#options.bounds.streamsMax) throw this.#tooMany();
    const group = this.#groups.get(name) ?? new StreamGroup(name, this.#options.subscriptions);
    this.#groups.set(name, group);
    const stream = new StreamingPull(this.#partsFor(name, group), settings, outlet);
    group.streams.add(stream);
    this.#open++;
    this.#opened++;
    void stream.run();
    return stream;
  }

  /** Every stream ends with UNAVAILABLE, at which clients look for another server or for this one again. */
  close(): void {
    this.#closed = true;
    this.#stopWatching();
    for (const { streams } of this.#groups.values()) for (const stream of streams) stream.end(stopping());
  }

  #partsFor(name: string, group: StreamGroup) {
    const ended = (error: unknown) => {
      this.#open--;
      if (error !== undefined) this.#failed++;
      if (group.streams.size === 0) this.#groups.delete(name);
    };
    return { ...this.#options, subscriber: this.subscriber, name, group, ended };
  }

  /** @param name undefined: any of them may have changed */
  #changed(name: string | undefined): void {
    const names = name === undefined ? [...this.#groups.keys()] : [name];
    for (const each of names) {
      const group = this.#groups.get(each);
      group?.refresh().catch((error: unknown) => {
        for (const stream of group.streams) stream.end(error);
      });
    }
  }

  #tooMany(): PubSubError {
    this.#refused++;
    return new PubSubError(
      'RESOURCE_EXHAUSTED',
      `${this.#open} streams are open on this server already, the most that may; close some, or use another server.`,
    );
  }
}
