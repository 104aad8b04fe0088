import { invalidArgument } from '../domain/errors.ts';
import { type Attributes, encodeRecord } from '../domain/message.ts';
import { quote } from '../domain/quote.ts';
import type { BridgedRoute } from './bridged-route.ts';
import { propertyAttributes } from './property-attributes.ts';
import type { PublishProperties } from './uplink.ts';

/** One Pub/Sub topic that messages on an MQTT topic go to, and what they carry there. */
export interface Target {
  readonly route: BridgedRoute;
  readonly topic: string;
  readonly orderingKey: string;
  readonly attributes: Attributes;
}

/** How a message was sent. */
export interface Sending {
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
}

const noBytes = new Uint8Array(0);

/**
 * Adds what is known of the message itself. Everything that can be wrong with the attributes or the key of any target
 * is found here, before anything is sent to one of them.
 * @throws PubSubError INVALID_ARGUMENT a limit of PubsubMessage; a user property that cannot become an attribute.
 */
export function address(targets: readonly Target[], sending: Sending): readonly Target[] {
  const own: readonly (readonly [string, string])[] = [
    ['mqttQos', String(sending.qos)],
    ['mqttRetain', String(sending.retain)],
    ...(sending.properties ? propertyAttributes(sending.properties) : []),
  ];
  return targets.map((target) => {
    for (const [key] of own) refuseTaken(key, target);
    const attributes = Object.freeze(Object.fromEntries([...Object.entries(target.attributes), ...own]));
    encodeRecord({ data: noBytes, attributes, orderingKey: target.orderingKey }); // checks, and keeps the encoding
    return { ...target, attributes };
  });
}

function refuseTaken(key: string, { route, attributes }: Target): void {
  if (!Object.hasOwn(attributes, key)) return;
  const taken = `has the name of an attribute that route "${route.rule.name}" sets`;
  throw invalidArgument(`The user property ${quote(key)} ${taken}; rename it.`);
}
