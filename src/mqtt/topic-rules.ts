import { quote } from '../domain/quote.ts';
import { malformed, Refusal, reasonCodes } from './refusal.ts';

/** The bounds of topics and filters; see `MqttLimits`. */
export interface TopicLimits {
  readonly topicBytesMax: number;
  readonly topicLevelsMax: number;
}

/**
 * A topic that a client publishes to, of whatever packet: PUBLISH, will, response topic.
 * @throws Refusal
 */
export function checkTopicName(topic: string, limits: TopicLimits): void {
  if (topic === '') throw invalidName('The topic is empty.'); // MQTT-4.7.3-1
  if (topic.includes('+') || topic.includes('#')) {
    throw invalidName(`Topic ${quote(topic)} contains + or #, which only filters may.`); // MQTT-3.3.2-2
  }
  // MQTT-4.7.2-1: a server should keep clients from using these for their own messages.
  if (topic.startsWith('$')) throw invalidName(`Topic ${quote(topic)} starts with $, which is the server's own.`);
  const excess = excessOf(topic, limits);
  if (excess) throw invalidName(`Topic ${quote(topic)} ${excess}`);
}

/** @throws Refusal */
export function checkTopicFilter(filter: string, limits: TopicLimits): void {
  if (filter === '') throw invalidFilter('A topic filter is empty.'); // MQTT-4.7.3-1
  // Aedes keeps the filters of one packet as keys of a plain object, which loses this one.
  if (filter === '__proto__') throw invalidFilter('The topic filter "__proto__" is not supported.');
  const excess = excessOf(filter, limits);
  if (excess) throw invalidFilter(`Topic filter ${quote(filter)} ${excess}`);
  if (filter.startsWith('$share/')) checkShare(filter);
  const levels = filter.split('/');
  const last = levels.length - 1;
  for (const [index, level] of levels.entries()) {
    if (level.includes('+') && level !== '+') {
      throw invalidFilter(`Topic filter ${quote(filter)}: + must be a level of its own.`); // MQTT-4.7.1-2
    }
    if (level.includes('#') && (level !== '#' || index < last)) {
      throw invalidFilter(`Topic filter ${quote(filter)}: # must be the last level, and alone in it.`); // MQTT-4.7.1-1
    }
  }
}

/** MQTT5 §4.8.2: `$share/{name}/{filter}`, neither of them empty. */
function checkShare(filter: string): void {
  const [, name, ...rest] = filter.split('/');
  if (!name || /[+#]/.test(name)) throw invalidFilter(`${quote(filter)}: the share name is empty or has a wildcard.`);
  if (rest.join('/') === '') throw invalidFilter(`${quote(filter)}: no filter follows the share name.`);
}

function excessOf(topic: string, { topicBytesMax, topicLevelsMax }: TopicLimits): string | undefined {
  const bytes = Buffer.byteLength(topic);
  if (bytes > topicBytesMax) return `has ${bytes} bytes; at most ${topicBytesMax} are allowed.`;
  let levels = 1;
  for (let at = topic.indexOf('/'); at !== -1; at = topic.indexOf('/', at + 1)) levels++;
  return levels > topicLevelsMax ? `has ${levels} levels; at most ${topicLevelsMax} are allowed.` : undefined;
}

/** An id that may become a capture, an attribute, part of a topic. */
export function checkClientId(clientId: string, bytesMax: number): void {
  const bytes = Buffer.byteLength(clientId);
  if (bytes > bytesMax) throw invalidClientId(`It has ${bytes} bytes; at most ${bytesMax} are allowed.`);
  if (/[+#]/.test(clientId)) throw invalidClientId(`${quote(clientId)} contains + or #, which topic filters use.`);
}

function invalidClientId(why: string): Refusal {
  return new Refusal(reasonCodes.clientIdNotValid, `The client id is not allowed. ${why}`);
}

function invalidName(message: string): Refusal {
  return new Refusal(reasonCodes.topicNameInvalid, message);
}

function invalidFilter(message: string): Refusal {
  return new Refusal(reasonCodes.topicFilterInvalid, message);
}

/** The rule for a response topic: like a topic name, but it may be one of the server's (MQTT-3.3.2-13, -14). */
export function checkResponseTopic(topic: string): void {
  if (topic === '') throw malformed('The response topic is empty.');
  if (/[+#]/.test(topic)) throw invalidName(`Response topic ${quote(topic)} contains + or #.`);
}

/** Whether a message on `topic` matches `filter` (MQTT §4.7); both already checked. */
export function filterMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && !filter.startsWith('$')) return false; // MQTT-4.7.2-1
  const levels = topic.split('/');
  const pattern = filter.split('/');
  for (const [index, level] of pattern.entries()) {
    if (level === '#') return true;
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false;
  }
  return pattern.length === levels.length;
}
