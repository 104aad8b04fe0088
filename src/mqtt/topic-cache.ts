import { isUtf8 } from 'node:buffer';
import { malformed } from './refusal.ts';
import { checkTopicName, type TopicLimits } from './topic-rules.ts';

/** A topic that this connection publishes to. */
export class KnownTopic {
  readonly topic: string;
  readonly bytes: Uint8Array;
  /** Whether a route took the last message; undefined before the first. */
  routed: boolean | undefined;
  /** Whether anybody subscribes to it, as of `wantedAt`, a version of the subscriptions. */
  wanted = false;
  wantedAt = -1;

  constructor(topic: string, bytes: Uint8Array) {
    this.topic = topic;
    this.bytes = bytes;
  }
}

const slots = 16; // a power of two; most devices use one or two topics

/**
 * The topics of one connection by their bytes: a hit needs neither decoding nor checks. Direct-mapped, so two topics
 * that fall into the same slot push each other out, which costs a decode and nothing else.
 */
export class TopicCache {
  readonly #known: (KnownTopic | undefined)[] = [];
  readonly #limits: TopicLimits;

  constructor(limits: TopicLimits) {
    this.#limits = limits;
  }

  /** @throws Refusal when the topic is not one that a client may publish to. */
  lookUp(buffer: Buffer, start: number, end: number): KnownTopic {
    const slot = slotOf(buffer, start, end);
    const known = this.#known[slot];
    if (known && same(known.bytes, buffer, start, end)) return known;
    return this.#learn(slot, buffer, start, end);
  }

  #learn(slot: number, buffer: Buffer, start: number, end: number): KnownTopic {
    const bytes = Uint8Array.prototype.slice.call(buffer, start, end);
    if (!isUtf8(bytes)) throw malformed('PUBLISH: the topic is not well-formed UTF-8.'); // MQTT-1.5.4-1
    if (bytes.includes(0)) throw malformed('PUBLISH: the topic contains U+0000.'); // MQTT-1.5.4-2
    const topic = buffer.toString('utf8', start, end);
    checkTopicName(topic, this.#limits);
    const known = new KnownTopic(topic, bytes);
    this.#known[slot] = known;
    return known;
  }
}

function slotOf(buffer: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let at = Math.max(start, end - 24); at < end; at++) hash = (hash * 31 + buffer[at]!) | 0;
  return (hash ^ (hash >>> 8)) & (slots - 1);
}

function same(bytes: Uint8Array, buffer: Buffer, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== buffer[start + at]) return false;
  return true;
}
