import type { Publish } from '../pubsub/pubsub.ts';
import type { RouteCounters } from './bridged-route.ts';
import { dedupeKey, forgetAt, Qos2Targets, type Qos2TargetsOptions } from './qos2-targets.ts';
import { RoutedDevice } from './routed-device.ts';
import type { Routes } from './routes.ts';
import type { DeviceUplink, Uplink } from './uplink.ts';

export interface RoutedUplinkOptions extends Qos2TargetsOptions {
  readonly routes: Routes;
  readonly publisher: Publish;
  /** MQTT topics that a connection remembers the way of; past it the one that came first is looked up again. */
  readonly topicsPerClientMax?: number;
}

export interface UplinkCounters {
  readonly routes: readonly RouteCounters[];
  /** Messages that no route took: they stay MQTT-only. */
  readonly unrouted: number;
  /** Topics that a connection forgot because it uses more than `topicsPerClientMax`. */
  readonly topicsForgotten: number;
  /** QoS 2 packet ids that were forgotten at a bound; their release is slower, nothing else. */
  readonly unreleasedForgotten: number;
  /** Releases for which the store had to look through all its logs. */
  readonly slowReleases: number;
}

/** An uplink that follows the routes; see `Uplink` for what it promises. */
export class RoutedUplink implements Uplink {
  readonly #routes: Routes;
  readonly #publisher: Publish;
  readonly #qos2: Qos2Targets;
  readonly #topicsPerClientMax: number;
  readonly #counts = { unrouted: 0, topicsForgotten: 0 };
  #slowReleases = 0;

  constructor(options: RoutedUplinkOptions) {
    this.#routes = options.routes;
    this.#publisher = options.publisher;
    this.#qos2 = new Qos2Targets(options);
    this.#topicsPerClientMax = options.topicsPerClientMax ?? 64;
  }

  open(clientId: string): DeviceUplink {
    return new RoutedDevice({
      clientId,
      routes: this.#routes,
      publisher: this.#publisher,
      qos2: this.#qos2,
      topicsMax: this.#topicsPerClientMax,
      counts: this.#counts,
    });
  }

  async release(scope: string, packetId: number): Promise<void> {
    const key = dedupeKey(scope, packetId);
    const targets = this.#qos2.take(scope, packetId);
    if (targets) return forgetAt(this.#publisher, key, targets);
    this.#slowReleases++;
    await this.#publisher.forget(key, undefined);
  }

  counters(): UplinkCounters {
    return {
      routes: this.#routes.counters(),
      ...this.#counts,
      unreleasedForgotten: this.#qos2.forgotten,
      slowReleases: this.#slowReleases,
    };
  }
}
