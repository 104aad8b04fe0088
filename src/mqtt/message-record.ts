import { type Message, noIdentifiers } from './message.ts';

/** Of the record below: what an older Headwater, or another node of the deployment, wrote. */
const format = 1;

/*
 * A message at rest (in a queue, retained, as a will) or on its way to another node:
 *
 *     format 1 | QoS, retain << 2  1 | expires 8 | publisher 2+n | topic 2+n | identifiers 2+4n | properties 4+n | payload
 */

/** @param allocate a record that stays in memory had better pin nothing else */
export function encodeMessage(message: Message, allocate: (bytes: number) => Buffer = Buffer.allocUnsafe): Buffer {
  const { topic, payload, qos, retain, publisher, expiresMs, properties, identifiers } = message;
  const topicBytes = Buffer.byteLength(topic);
  const publisherBytes = Buffer.byteLength(publisher);
  const head = 10 + 2 + publisherBytes + 2 + topicBytes + 2 + 4 * identifiers.length + 4;
  const record = allocate(head + properties.length + payload.length);
  record[0] = format;
  record[1] = qos | (retain ? 4 : 0);
  let at = record.writeDoubleBE(expiresMs, 2);
  at = record.writeUInt16BE(publisherBytes, at);
  at += record.write(publisher, at);
  at = record.writeUInt16BE(topicBytes, at);
  at += record.write(topic, at);
  at = record.writeUInt16BE(identifiers.length, at);
  for (const identifier of identifiers) at = record.writeUInt32BE(identifier, at);
  at = record.writeUInt32BE(properties.length, at);
  record.set(properties, at);
  record.set(payload, at + properties.length);
  return record;
}

/** Payload and properties are views of the record. @throws Error a record that this Headwater did not write */
export function decodeMessage(bytes: Uint8Array): Message {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (record[0] !== format)
    throw new Error(`A stored MQTT message has format ${record[0]}; this Headwater reads ${format}.`);
  const flags = record[1]!;
  const publisherEnd = 12 + record.readUInt16BE(10);
  const topicEnd = publisherEnd + 2 + record.readUInt16BE(publisherEnd);
  const count = record.readUInt16BE(topicEnd);
  const propertiesAt = topicEnd + 2 + 4 * count + 4;
  const payloadAt = propertiesAt + record.readUInt32BE(propertiesAt - 4);
  return {
    topic: record.toString('utf8', publisherEnd + 2, topicEnd),
    payload: record.subarray(payloadAt),
    qos: (flags & 3) as 0 | 1 | 2,
    retain: (flags & 4) !== 0,
    publisher: record.toString('utf8', 12, publisherEnd),
    expiresMs: record.readDoubleBE(2),
    properties: record.subarray(propertiesAt, payloadAt),
    identifiers:
      count === 0 ? noIdentifiers : Array.from({ length: count }, (_, n) => record.readUInt32BE(topicEnd + 2 + 4 * n)),
  };
}
