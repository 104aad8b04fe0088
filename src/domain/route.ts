import { invalidArgument, PubSubError } from './errors.ts';
import { attributeKeyBytesMax, attributesMax, attributeValueBytesMax, orderingKeyBytesMax } from './message.ts';
import { quote } from './quote.ts';
import { parseResourceName } from './resource-name.ts';
import { type Captures, levelCaptures, parseRouteFilter, type RouteFilter, restCapture } from './route-filter.ts';
import { fillTemplate, literalBytes, parseTemplate, prefixed, type Template } from './template.ts';

/** A route as people write it, in the configuration file for one. */
export interface RouteDefinition {
  /** Names the route in metrics and errors; its filter does when there is no name. */
  readonly name?: string;
  /** An MQTT filter with named wildcards, see `RouteFilter`. */
  readonly filter: string;
  /** A topic id of the project, or `projects/…/topics/…`; one-level captures may be filled in. */
  readonly topic: string;
  /** Added to each message; captures, `{mqttTopic}` and `{mqttClientId}` may be filled into the values. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Filled in like an attribute value. Absent or empty: unordered. */
  readonly orderingKey?: string;
}

/** The rule that turns an MQTT PUBLISH into a Pub/Sub message. */
export interface Route {
  readonly name: string;
  readonly filter: RouteFilter;
  readonly topic: Template; // projects/{project}/topics/{topic}
  readonly attributes: readonly (readonly [key: string, value: Template])[];
  readonly orderingKey: Template;
}

/** Where a message came from. */
export interface Origin {
  readonly mqttTopic: string;
  readonly mqttClientId: string;
}

/** What a route makes of one MQTT topic. */
export interface Destination {
  readonly topic: string;
  readonly attributes: readonly (readonly [key: string, value: string])[];
  readonly orderingKey: string;
}

/** What the bridge itself says about a message; the last five only when an MQTT 5 client sent them. */
export const bridgeAttributes: readonly string[] = [
  'mqttTopic',
  'mqttClientId',
  'mqttQos',
  'mqttRetain',
  'mqttPayloadFormat',
  'mqttMessageExpirySeconds',
  'mqttContentType',
  'mqttResponseTopic',
  'mqttCorrelationData',
];

const originNames: readonly (keyof Origin)[] = ['mqttTopic', 'mqttClientId'];
const routeAttributesMax = attributesMax - bridgeAttributes.length;
const routesMax = 1000;
const routeNameCharsMax = 200;

/** @throws PubSubError INVALID_ARGUMENT one sentence that begins with the route's name. */
export function parseRoute(definition: RouteDefinition, project: string): Route {
  const name = nameOf(definition);
  return saying(`Route ${quote(name)}`, () => {
    if (name === '' || name.length > routeNameCharsMax) {
      throw invalidArgument(`The name has ${name.length} characters; 1 to ${routeNameCharsMax} are allowed.`);
    }
    const filter = parseRouteFilter(definition.filter);
    const names = [...levelCaptures(filter), ...restCapture(filter), ...originNames];
    checkCaptureNames(filter);
    return {
      name,
      filter,
      topic: parseTopic(definition.topic, project, levelCaptures(filter)),
      attributes: parseAttributes(definition.attributes ?? {}, names),
      orderingKey: parseText('orderingKey', definition.orderingKey ?? '', names, orderingKeyBytesMax),
    };
  });
}

function checkCaptureNames(filter: RouteFilter): void {
  const taken = [...levelCaptures(filter), ...restCapture(filter)].find((name) =>
    originNames.some((own) => own === name),
  );
  if (taken)
    throw invalidArgument(`The filter names a level {${taken}}, a name that the bridge fills; choose another.`);
}

/** Only one-level captures: they hold no slash, so no device can turn a topic id into another project's topic. */
function parseTopic(topic: string, project: string, names: readonly string[]): Template {
  const written = parseTemplate(topic, names);
  const template = topic.includes('/') ? written : prefixed(`projects/${project}/topics/`, written);
  const sample = fillTemplate(template, () => 'abc'); // finds what no ordinary capture puts right
  parseResourceName('topics', sample);
  return template;
}

function parseAttributes(attributes: Readonly<Record<string, string>>, names: readonly string[]): Route['attributes'] {
  const entries = Object.entries(attributes);
  if (entries.length > routeAttributesMax) {
    throw invalidArgument(`It adds ${entries.length} attributes; at most ${routeAttributesMax} are allowed.`);
  }
  return entries.map(([key, value]) => {
    checkAttributeKey(key);
    return [key, parseText(`attributes.${key}`, value, names, attributeValueBytesMax)] as const;
  });
}

function checkAttributeKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes === 0 || bytes > attributeKeyBytesMax) {
    throw invalidArgument(`An attribute key has ${bytes} bytes; 1 to ${attributeKeyBytesMax} are allowed.`);
  }
  if (key.startsWith('goog')) {
    throw invalidArgument(
      `The attribute key ${quote(key)} starts with "goog", which is reserved; choose another prefix.`,
    );
  }
  if (bridgeAttributes.includes(key)) {
    throw invalidArgument(`The attribute "${key}" is set by the bridge itself; choose another name.`);
  }
}

function parseText(field: string, text: string, names: readonly string[], bytesMax: number): Template {
  const template = parseTemplate(text, names);
  const bytes = literalBytes(template);
  if (bytes > bytesMax) throw invalidArgument(`${field} has ${bytes} bytes; at most ${bytesMax} are allowed.`);
  return template;
}

/** @throws PubSubError INVALID_ARGUMENT when there are too many, or two that cannot be told apart. */
export function checkRouteNames(definitions: readonly RouteDefinition[]): void {
  if (definitions.length > routesMax) {
    throw invalidArgument(`There are ${definitions.length} routes; at most ${routesMax} are allowed.`);
  }
  const names = new Set<string>();
  for (const definition of definitions) {
    const name = nameOf(definition);
    if (names.has(name)) throw invalidArgument(`Two routes are named ${quote(name)}; give each a name of its own.`);
    names.add(name);
  }
}

function nameOf(definition: RouteDefinition): string {
  return definition.name ?? definition.filter;
}

/** @throws PubSubError INVALID_ARGUMENT a capture that is not allowed, or a topic that cannot exist. */
export function applyRoute(route: Route, captures: Captures, origin: Origin): Destination {
  return saying(`Route ${quote(route.name)} cannot take MQTT topic ${quote(origin.mqttTopic)}`, () => {
    for (const [name, value] of captures) checkCapture(name, value, route.filter);
    const fill = (name: string) => captures.get(name) ?? origin[name as keyof Origin];
    const topic = fillTemplate(route.topic, fill);
    parseResourceName('topics', topic);
    return {
      topic,
      attributes: route.attributes.map(([key, value]) => [key, fillTemplate(value, fill)] as const),
      orderingKey: fillTemplate(route.orderingKey, fill),
    };
  });
}

/** Wildcards and broken text in a captured value would come back to bite whoever builds a topic or a filter from it. */
function checkCapture(name: string, value: string, filter: RouteFilter): void {
  if (value === '' && name !== filter.rest?.capture) {
    throw invalidArgument(`{${name}} is empty; it needs at least one character.`);
  }
  if (/[+#]|\p{Surrogate}/u.test(value) || value.includes('\0')) {
    throw invalidArgument(`{${name}} is ${quote(value)}; + # NUL and lone surrogates are not allowed in it.`);
  }
}

/** Puts what a refusal is about in front of its sentence. */
function saying<T>(about: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    if (!(error instanceof PubSubError)) throw error;
    throw new PubSubError(error.code, `${about}: ${error.message}`, { cause: error });
  }
}
