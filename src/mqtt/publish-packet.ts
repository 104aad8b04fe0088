import type { DevicePublish, PublishProperties } from '../bridge/uplink.ts';
import { ByteReader } from './byte-reader.ts';
import type { FrameReader } from './frame-reader.ts';
import { type Properties, readProperties } from './properties.ts';
import { malformed, protocolError, Refusal, reasonCodes } from './refusal.ts';
import type { KnownTopic, TopicCache } from './topic-cache.ts';
import { checkResponseTopic } from './topic-rules.ts';

/** One PUBLISH as the gate hands it on. A class, so that all of them have one shape in the engine. */
export class Publish implements DevicePublish {
  readonly known: KnownTopic;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
  readonly packetId: number; // 0 under QoS 0
  declare dedupe?: { readonly scope: string; readonly packetId: number };

  constructor(
    known: KnownTopic,
    payload: Buffer,
    qos: 0 | 1 | 2,
    retain: boolean,
    properties: PublishProperties | undefined,
    packetId: number,
  ) {
    this.known = known;
    this.topic = known.topic;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.packetId = packetId;
  }
}

/**
 * Decodes the PUBLISH packets of one connection (MQTT5 §3.3); it remembers the connection's topics and aliases.
 * The hot path: no copy, and one look-up instead of decoding and checking a topic that was seen before.
 */
export class PublishReader {
  readonly #topics: TopicCache;
  readonly #aliases: (KnownTopic | undefined)[] | undefined; // index = alias; undefined before MQTT 5
  readonly #aliasMax: number;

  constructor(topics: TopicCache, version: number, topicAliasMax: number) {
    this.#topics = topics;
    this.#aliases = version === 5 ? [] : undefined;
    this.#aliasMax = topicAliasMax;
  }

  /** @throws Refusal */
  read({ header, buffer, start, end }: FrameReader): Publish {
    const qos = (header >> 1) & 3;
    if (qos === 3) throw malformed('PUBLISH: QoS 3; 0, 1 and 2 are allowed.'); // MQTT-3.3.1-4
    if (qos === 0 && header & 8) throw malformed('PUBLISH: DUP is set with QoS 0.'); // MQTT-3.3.1-2
    const topicStart = start + 2;
    const topicEnd = topicStart + ((buffer[start]! << 8) | buffer[start + 1]!); // past `end`: caught next
    let at = qos === 0 ? topicEnd : topicEnd + 2;
    if (!(topicStart <= end && at <= end)) throw malformed('PUBLISH: it ends within its topic or packet identifier.');
    const packetId = qos === 0 ? 0 : (buffer[topicEnd]! << 8) | buffer[topicEnd + 1]!;
    if (qos > 0 && packetId === 0) throw protocolError('PUBLISH: packet identifier 0; 1 to 65535 are allowed.');
    let properties: Properties | undefined;
    if (this.#aliases) {
      if (buffer[at] === 0 && at < end) at++;
      else {
        const reader = new ByteReader('PUBLISH', buffer, at, end);
        properties = readProperties('PUBLISH', reader);
        at = reader.at;
      }
    }
    const known = this.#resolve(buffer, topicStart, topicEnd, properties);
    const retain = (header & 1) !== 0;
    return new Publish(known, buffer.subarray(at, end), qos as 0 | 1 | 2, retain, messageOf(properties), packetId);
  }

  /** MQTT5 §3.3.2.3.4: a topic, a topic with an alias for later, or an alias for an earlier one. */
  #resolve(buffer: Buffer, start: number, end: number, properties: Properties | undefined): KnownTopic {
    const alias = properties?.topicAlias;
    if (!this.#aliases || alias === undefined) {
      if (start === end) throw protocolError('PUBLISH: the topic is empty.'); // MQTT-4.7.3-1
      return this.#topics.lookUp(buffer, start, end);
    }
    if (alias === 0 || alias > this.#aliasMax) {
      throw invalidAlias(`PUBLISH: topic alias ${alias}; 1 to ${this.#aliasMax} are allowed.`);
    }
    if (start < end) this.#aliases[alias] = this.#topics.lookUp(buffer, start, end);
    const known = this.#aliases[alias];
    if (!known) throw protocolError(`PUBLISH: topic alias ${alias} was not set before.`);
    return known;
  }
}

function messageOf(properties: Properties | undefined): PublishProperties | undefined {
  if (!properties) return undefined;
  if (properties.responseTopic !== undefined) checkResponseTopic(properties.responseTopic);
  const { topicAlias: _, ...message } = properties; // an alias holds for this connection only
  return message;
}

function invalidAlias(message: string): Refusal {
  return new Refusal(reasonCodes.topicAliasInvalid, message);
}
