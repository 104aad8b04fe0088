import type { PublishProperties } from '../bridge/uplink.ts';

/** MQTT 5 properties in the words of mqtt-packet, which serialises them for subscribers. */
export function brokerProperties(properties: PublishProperties): object {
  const { payloadFormat, messageExpirySeconds, contentType, responseTopic, correlationData, user } = properties;
  return {
    ...(payloadFormat !== undefined && { payloadFormatIndicator: payloadFormat === 1 }),
    ...(messageExpirySeconds !== undefined && { messageExpiryInterval: messageExpirySeconds }),
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationData !== undefined && { correlationData: Buffer.from(correlationData) }),
    ...(user !== undefined && { userProperties: userProperties(user) }),
  };
}

/** mqtt-packet keeps them by key, so the order of pairs with different keys is lost. No prototype: `__proto__` is a key. */
function userProperties(pairs: readonly (readonly [string, string])[]): Record<string, string[]> {
  const byKey = Object.create(null) as Record<string, string[]>;
  for (const [key, value] of pairs) {
    const values = byKey[key];
    if (values) values.push(value);
    else byKey[key] = [value];
  }
  return byKey;
}
