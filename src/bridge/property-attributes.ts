import { invalidArgument } from '../domain/errors.ts';
import { quote } from '../domain/quote.ts';
import { bridgeAttributes } from '../domain/route.ts';
import type { PublishProperties } from './uplink.ts';

type Entry = readonly [key: string, value: string];

/**
 * What an MQTT 5 PUBLISH says about itself, as attributes. A user property keeps its name. One that cannot become an
 * attribute (its name is taken, used twice, or over a limit of PubsubMessage) refuses the whole message, with a
 * reason that an MQTT 5 client can read: a message that is acknowledged is stored with everything it carried.
 */
export function propertyAttributes(properties: PublishProperties): Entry[] {
  const entries: Entry[] = [];
  const add = (key: string, value: string | number | undefined) => {
    if (value !== undefined) entries.push([key, String(value)]);
  };
  add('mqttPayloadFormat', properties.payloadFormat);
  add('mqttMessageExpirySeconds', properties.messageExpirySeconds);
  add('mqttContentType', properties.contentType);
  add('mqttResponseTopic', properties.responseTopic);
  add('mqttCorrelationData', properties.correlationData && base64(properties.correlationData));
  return properties.user ? [...entries, ...userAttributes(properties.user)] : entries;
}

function userAttributes(user: readonly Entry[]): readonly Entry[] {
  const seen = new Set<string>();
  for (const [key] of user) {
    if (bridgeAttributes.includes(key)) {
      throw invalidArgument(
        `The user property ${quote(key)} has the name of an attribute that the bridge sets; rename it.`,
      );
    }
    if (seen.has(key)) {
      throw invalidArgument(
        `The user property ${quote(key)} occurs twice; an attribute has one value, so send it once.`,
      );
    }
    seen.add(key);
  }
  return user;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
