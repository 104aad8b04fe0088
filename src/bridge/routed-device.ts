import type { Publish } from '../pubsub/pubsub.ts';
import { isRefusal } from './bridged-route.ts';
import { dedupeKey, forgetAt, type Qos2Targets } from './qos2-targets.ts';
import type { Routes } from './routes.ts';
import { address, type Target } from './target.ts';
import type { DevicePublish, DeviceUplink } from './uplink.ts';

export interface RoutedDeviceOptions {
  readonly clientId: string;
  readonly routes: Routes;
  readonly publisher: Publish;
  readonly qos2: Qos2Targets;
  readonly topicsMax: number;
  /** Shared by all devices of an uplink. */
  readonly counts: { unrouted: number; topicsForgotten: number };
}

/** One MQTT topic of the client. */
interface KnownTopic {
  readonly targets: readonly Target[];
  /** By QoS and retain, filled in as they occur: the same attribute objects serve every message that looks the same. */
  readonly addressed: (readonly Target[] | undefined)[];
}

const unrouted: KnownTopic = { targets: [], addressed: [] };

/**
 * One connected client's way in. A device sends thousands of messages to a handful of topics, so what the routes make of
 * a topic is worked out once; from then on a message costs one look-up and one `publishOne`.
 */
export class RoutedDevice implements DeviceUplink {
  readonly #options: RoutedDeviceOptions;
  readonly #topics = new Map<string, KnownTopic>();

  constructor(options: RoutedDeviceOptions) {
    this.#options = options;
  }

  accept(publish: DevicePublish): Promise<void> | undefined {
    const { routes, counts, qos2 } = this.#options;
    let targets: readonly Target[];
    try {
      targets = this.#targets(publish);
    } catch (refusal) {
      routes.refuse(publish.topic);
      return Promise.reject(refusal);
    }
    if (targets.length === 0) {
      counts.unrouted++;
      return undefined;
    }
    const { dedupe } = publish;
    if (dedupe) qos2.note(dedupe.scope, dedupe.packetId, targets);
    const key = dedupe && dedupeKey(dedupe.scope, dedupe.packetId);
    return targets.length === 1 ? this.#send(targets[0]!, publish, key) : this.#sendToAll(targets, publish, key);
  }

  #targets(publish: DevicePublish): readonly Target[] {
    const { targets, addressed } = this.#topics.get(publish.topic) ?? this.#learn(publish.topic);
    if (targets.length === 0) return targets;
    if (saysMore(publish)) return address(targets, publish); // may differ from message to message: not kept
    const alike = publish.qos * 2 + (publish.retain ? 1 : 0);
    addressed[alike] ??= address(targets, publish);
    return addressed[alike];
  }

  #learn(topic: string): KnownTopic {
    const { routes, clientId, topicsMax, counts } = this.#options;
    const targets = routes.targets({ mqttTopic: topic, mqttClientId: clientId });
    const known = targets.length === 0 ? unrouted : { targets, addressed: [] };
    if (this.#topics.size >= topicsMax) {
      this.#topics.delete(this.#topics.keys().next().value!);
      counts.topicsForgotten++;
    }
    this.#topics.set(topic, known);
    return known;
  }

  #send(target: Target, { payload }: DevicePublish, key: string | undefined): Promise<void> {
    const { route, topic, attributes, orderingKey } = target;
    return route.settle(this.#options.publisher.publishOne(topic, { data: payload, attributes, orderingKey }, key));
  }

  /**
   * Several topics are several appends, and no transaction spans them. One that fails makes the device send again, and
   * the others then hold the message twice under QoS 1, once under QoS 2. If one is refused for good, the device is
   * told so while the others keep the message; an MQTT 3.1.1 client, which cannot be told, may send it again.
   */
  async #sendToAll(targets: readonly Target[], publish: DevicePublish, key: string | undefined): Promise<void> {
    const ends = await Promise.allSettled(targets.map((target) => this.#send(target, publish, key)));
    const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (errors.length === 0) return;
    const retryable = errors.find((error) => !isRefusal(error));
    if (retryable !== undefined) throw retryable;
    // No PUBREL follows a refusal (MQTT-4.3.3-4): the id must be free, or its next message would pass for a duplicate.
    if (key !== undefined) await forgetAt(this.#options.publisher, key, targets);
    throw errors[0];
  }
}

function saysMore({ properties }: DevicePublish): boolean {
  return properties !== undefined && Object.keys(properties).length > 0;
}
