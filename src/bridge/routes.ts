import { invalidArgument } from '../domain/errors.ts';
import type { Attributes } from '../domain/message.ts';
import { quote } from '../domain/quote.ts';
import { applyRoute, checkRouteNames, type Origin, parseRoute, type RouteDefinition } from '../domain/route.ts';
import { type Captures, matchRouteFilter } from '../domain/route-filter.ts';
import { isFixed } from '../domain/template.ts';
import { BridgedRoute, type RouteCounters } from './bridged-route.ts';
import { address, type Sending, type Target } from './target.ts';

/** What a PUBLISH would become; nothing is stored and nothing counted. */
export interface RoutedMessage {
  readonly route: string;
  readonly topic: string;
  readonly attributes: Attributes;
  readonly orderingKey: string;
}

/**
 * The routes of the process, in the order in which they were defined. Every route that matches gets the message, but
 * a topic gets it once: when several routes lead to one topic, the first of them decides. So a route of one's own,
 * which stands before the default ones, replaces what they would have done.
 */
export class Routes {
  readonly #routes: readonly BridgedRoute[];

  /** @throws PubSubError INVALID_ARGUMENT, see `parseRoute` and `checkRouteNames`. */
  constructor(definitions: readonly RouteDefinition[], project: string) {
    checkRouteNames(definitions);
    this.#routes = definitions.map((definition) => new BridgedRoute(parseRoute(definition, project)));
  }

  /** The full names of the topics that routes lead to, each once; those that depend on captures are not known. */
  get topics(): readonly string[] {
    const fixed = this.#routes.filter((route) => isFixed(route.rule.topic));
    return [...new Set(fixed.map((route) => route.rule.topic.text))];
  }

  counters(): readonly RouteCounters[] {
    return this.#routes.map((route) => route.counters());
  }

  /**
   * @returns one target per topic, not yet addressed; empty when no route takes the MQTT topic.
   * @throws PubSubError INVALID_ARGUMENT a capture that is not allowed, a topic name that cannot exist.
   */
  targets(origin: Origin): readonly Target[] {
    const byTopic = new Map<string, Target>();
    for (const { route, captures } of this.#matches(origin.mqttTopic)) {
      const { topic, attributes, orderingKey } = applyRoute(route.rule, captures, origin);
      if (byTopic.has(topic)) continue;
      const { mqttTopic, mqttClientId } = origin;
      const all = Object.fromEntries([...attributes, ['mqttTopic', mqttTopic], ['mqttClientId', mqttClientId]]);
      byTopic.set(topic, { route, topic, orderingKey, attributes: all });
    }
    return [...byTopic.values()];
  }

  /** Counts a message that was refused before it was sent anywhere, for every route that wanted it. */
  refuse(mqttTopic: string): void {
    for (const { route } of this.#matches(mqttTopic)) route.refuse();
  }

  /** @throws PubSubError INVALID_ARGUMENT why the message would be refused. */
  dryRun(origin: Origin, sending: Sending): readonly RoutedMessage[] {
    checkTopicName(origin.mqttTopic);
    return address(this.targets(origin), sending).map(({ route, topic, attributes, orderingKey }) => ({
      route: route.rule.name,
      topic,
      attributes,
      orderingKey,
    }));
  }

  #matches(mqttTopic: string): { readonly route: BridgedRoute; readonly captures: Captures }[] {
    const levels = mqttTopic.split('/');
    return this.#routes.flatMap((route) => {
      const captures = matchRouteFilter(route.rule.filter, levels);
      return captures ? [{ route, captures }] : [];
    });
  }
}

/** MQTT-3.3.2-2 and MQTT-4.7.3-1. */
function checkTopicName(topic: string): void {
  if (topic !== '' && !/[+#]|\p{Surrogate}/u.test(topic) && !topic.includes('\0')) return;
  throw invalidArgument(`${quote(topic)} is no MQTT topic name: it has 1 to 65535 bytes without + # NUL.`);
}
