import { partitionsLabel, topicPartitionsMax } from '../domain/partitions.ts';
import type { RouteDefinition } from '../domain/route.ts';
import { nearest } from './nearest.ts';

/** An object as JSON has it; the API's own decoder looks inside. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Something the file declares, and where. */
export interface Declaration<T> {
  readonly where: string;
  readonly value: T;
}

/** A topic has one field that the API has not. */
export interface TopicDeclaration extends Declaration<JsonObject> {
  /** More than it has: it grows at the start. Absent: as many as it is made with. */
  readonly partitions: number | undefined;
}

/** What the file declares beside settings. */
export interface Declared {
  readonly topics: readonly TopicDeclaration[];
  readonly subscriptions: readonly Declaration<JsonObject>[];
  readonly routes: readonly Declaration<RouteDefinition>[];
}

export const nothingDeclared: Declared = { topics: [], subscriptions: [], routes: [] };
export const declaredKeys = ['topics', 'subscriptions', 'routes'] as const;

/** `headwater.yaml:12 routes[0]`, for the key and the index in its list. */
export type Where = (key: string, index?: number) => string;

interface Reading {
  readonly where: Where;
  readonly problems: string[];
}

const routeFields = ['name', 'filter', 'topic', 'attributes', 'orderingKey'];

/** Checks the shape only; what a topic, subscription or route may say is for the domain to judge. */
export function readDeclared(values: JsonObject, where: Where): { declared: Declared; problems: readonly string[] } {
  const reading = { where, problems: [] };
  const topics = readObjects('topics', values['topics'], reading).filter((topic) => isNamed(topic, reading));
  const partitioned = topics.map((topic) => withPartitions(topic, reading));
  const subscriptions = readObjects('subscriptions', values['subscriptions'], reading);
  const routes = readObjects('routes', values['routes'], reading).filter((route) => isRoute(route, reading));
  const declared = {
    topics: partitioned,
    subscriptions: subscriptions.filter((subscription) => isNamed(subscription, reading)),
    routes,
  };
  return { declared, problems: reading.problems };
}

function readObjects(key: string, list: unknown, { where, problems }: Reading): Declaration<JsonObject>[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) {
    problems.push(`${where(key)} must be a list, one "- " an entry.`);
    return [];
  }
  return list.flatMap((value: unknown, index) => {
    if (isObject(value)) return [{ where: where(key, index), value }];
    problems.push(`${where(key, index)} must be a mapping of fields.`);
    return [];
  });
}

function isNamed({ where, value }: Declaration<JsonObject>, { problems }: Reading): boolean {
  if (typeof value['name'] === 'string') return true;
  problems.push(`${where} has no name; it must be the full one, as in the REST API: projects/{project}/….`);
  return false;
}

function withPartitions({ where, value }: Declaration<JsonObject>, { problems }: Reading): TopicDeclaration {
  const { partitions, ...topic } = value;
  if (partitions === undefined) return { where, value, partitions };
  const isAllowed = Number.isInteger(partitions) && Number(partitions) >= 1 && Number(partitions) <= topicPartitionsMax;
  if (!isAllowed) problems.push(`${where}.partitions must be a whole number from 1 to ${topicPartitionsMax}.`);
  const { labels } = topic as { labels?: unknown };
  if (isObject(labels) && Object.hasOwn(labels, partitionsLabel)) {
    problems.push(`${where} has partitions and the label ${partitionsLabel}; give one of them.`);
  }
  return { where, value: topic, partitions: Number(partitions) };
}

function isRoute(
  route: Declaration<JsonObject>,
  { problems }: Reading,
): route is Declaration<RouteDefinition & JsonObject> {
  const found = [...unknownFields(route), ...misshapenFields(route)];
  problems.push(...found);
  return found.length === 0;
}

function unknownFields({ where, value }: Declaration<JsonObject>): string[] {
  const unknown = Object.keys(value).filter((field) => !routeFields.includes(field));
  return unknown.map((field) => {
    const meant = nearest(field, routeFields);
    return `${where}.${field} is no field of a route; ${meant ? `did you mean ${meant}?` : `they are ${routeFields.join(', ')}.`}`;
  });
}

function misshapenFields({ where, value }: Declaration<JsonObject>): string[] {
  const problems: string[] = [];
  for (const field of ['filter', 'topic']) {
    if (value[field] === undefined) problems.push(`${where} has no ${field}; a route needs a filter and a topic.`);
  }
  for (const field of ['name', 'filter', 'topic', 'orderingKey']) {
    if (value[field] !== undefined && typeof value[field] !== 'string')
      problems.push(`${where}.${field} must be text.`);
  }
  const attributes = value['attributes'] ?? {};
  if (!isObject(attributes)) return [...problems, `${where}.attributes must be a mapping of names to text.`];
  for (const [name, text] of Object.entries(attributes)) {
    if (typeof text !== 'string') problems.push(`${where}.attributes.${name} must be text; put quotes around it.`);
  }
  return problems;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
