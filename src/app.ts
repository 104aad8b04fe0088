import { readFileSync } from 'node:fs';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { Registry } from 'prom-client';
import { type HttpServer, openHttpServer } from './api/http/http-server.ts';
import { subscriptionFromJson } from './api/json/subscription-json.ts';
import { topicFromJson } from './api/json/topic-json.ts';
import { defaultRoutes } from './bridge/default-routes.ts';
import { RoutedUplink } from './bridge/routed-uplink.ts';
import { Routes } from './bridge/routes.ts';
import type { Uplink } from './bridge/uplink.ts';
import type { Config } from './config.ts';
import { PubSubError } from './domain/errors.ts';
import { type MqttServer, openMqttServer } from './mqtt/mqtt-server.ts';
import { type Declared, declareSubscription, declareTopic } from './pubsub/declare.ts';
import { type OpenPubSub, openPubSub } from './pubsub/open-pubsub.ts';
import { openStore } from './store/open-store.ts';
import type { Store } from './store/store.ts';
import type { Logger } from './telemetry/logger.ts';
import { createRegistry, exposeMetrics } from './telemetry/metrics.ts';
import { type Readings, serverMetrics } from './telemetry/server-metrics.ts';

export interface App {
  readonly urls: { readonly mqtt: string; readonly mqtts?: string; readonly http: string };
  /** What an acknowledgement is worth, in plain words. */
  readonly durability: string;
  /** Accepts nothing more, lets acknowledgements that are under way finish, at most for `deadlineMs`; then closes all. */
  close(deadlineMs: number): Promise<void>;
}

/** `/mqtt` of the HTTP port (ARCHITECTURE §5). */
const webSocketPath = '/mqtt';

/**
 * Puts Headwater together, from the store up, and opens its doors last: what it accepts it can also keep.
 * @throws Error one sentence that says what to do: a port is taken, a directory is in use, a declaration is wrong.
 */
export async function startApp(config: Config, logger: Logger, version: string): Promise<App> {
  const clock = Date.now;
  const store = await openStore({ url: config.store, clock });
  const { logCacheBytesMax, retentionSweepMs } = config;
  const pubsub = openPubSub({ store, clock, logger, limits: { logCacheBytesMax, retentionSweepMs } });
  try {
    return await openDoors({ config, logger, version, clock, store, pubsub });
  } catch (error) {
    await pubsub.close();
    await store.close();
    throw error;
  }
}

interface Core {
  readonly config: Config;
  readonly logger: Logger;
  readonly version: string;
  readonly clock: () => number;
  readonly store: Store;
  readonly pubsub: OpenPubSub;
}

async function openDoors(core: Core): Promise<App> {
  const { config, store, pubsub } = core;
  const routes = new Routes([...config.routes, ...(config.defaultRoutes ? defaultRoutes : [])], config.project);
  await declareAll(core, routes);
  const uplink = new RoutedUplink({ routes, publisher: pubsub.publisher });
  const registry = createRegistry();
  const http = await openHttp(core, registry);
  const mqtt = await openMqtt(core, uplink);
  mqtt.attachWebSocket(http.server, webSocketPath);
  exposeAll(registry, {
    store,
    pubsub: () => pubsub.counters(),
    uplink: () => uplink.counters(),
    http: () => http.counters(),
    mqtt: () => mqtt.counters(),
  });
  const { host, httpPort, mqttPort } = config;
  const httpUrl = await http.listen({ host, port: httpPort });
  const mqttUrl = urlOf(
    'mqtt',
    host,
    await listening('--mqtt-port', mqttPort, mqtt.listenTcp({ host, port: mqttPort })),
  );
  const mqttsUrl = await listenTls(config, mqtt);
  const { durability } = await store.health();
  return {
    urls: { mqtt: mqttUrl, ...(mqttsUrl ? { mqtts: mqttsUrl } : {}), http: httpUrl },
    durability,
    async close(deadlineMs) {
      await Promise.all([mqtt.close(deadlineMs), http.close(deadlineMs)]);
      await pubsub.close();
      await store.close();
    },
  };
}

function openHttp({ config, logger, version, clock, store, pubsub }: Core, registry: Registry): Promise<HttpServer> {
  const limits = { connectionsMax: config.httpConnectionsMax, pullWaitMs: config.pullWaitMs };
  return openHttpServer({ pubsub, health: () => store.health(), registry, logger, clock, version, limits });
}

function openMqtt({ config, logger, clock, store }: Core, uplink: Uplink): Promise<MqttServer> {
  const limits = {
    connectionsMax: config.mqttConnectionsMax,
    packetBytesMax: config.mqttPacketBytesMax,
    inflightMax: config.mqttInflightMax,
    outboundBytesMax: config.mqttOutboundBytesMax,
    qos0BytesMax: config.mqttQos0BytesMax,
    storeDeadlineMs: config.mqttStoreDeadlineMs,
    sessionsMax: config.mqttSessionsMax,
    sessionQueueBytesMax: config.mqttSessionQueueBytesMax,
    retainedBytesMax: config.mqttRetainedBytesMax,
  };
  return openMqttServer({ uplink, sessions: store.table('sessions'), logger, clock, limits });
}

async function listenTls(config: Config, mqtt: MqttServer): Promise<string | undefined> {
  const { host, mqttsPort, mqttsCertFile, mqttsKeyFile } = config;
  if (mqttsPort === undefined) return undefined;
  const files = { cert: readFileSync(mqttsCertFile!), key: readFileSync(mqttsKeyFile!) }; // the config has checked them
  return urlOf(
    'mqtts',
    host,
    await listening('--mqtts-port', mqttsPort, mqtt.listenTls({ host, port: mqttsPort }, files)),
  );
}

/** Waits for a listener and says in a sentence why it could not be had. */
async function listening(flag: string, port: number, listen: Promise<AddressInfo>): Promise<number> {
  try {
    return (await listen).port;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EADDRINUSE' ? `the port is taken; choose another with ${flag}` : message;
    throw new Error(`Cannot serve MQTT on port ${port}: ${reason}.`, { cause: error });
  }
}

function urlOf(scheme: string, host: string, port: number): string {
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function exposeAll(registry: Registry, readings: Readings): void {
  exposeMetrics(registry, serverMetrics(readings));
}

/** Creates the topics that routes lead to, and what the file declares, where they are missing. */
async function declareAll(core: Core, routes: Routes): Promise<void> {
  const { config, pubsub } = core;
  for (const { where, value } of config.topics) {
    await declareOne(
      core,
      where,
      () => topicFromJson(value, ''),
      (topic) => declareTopic(pubsub, topic),
    );
  }
  const declared = new Set((config.topics as readonly { value: { name?: unknown } }[]).map(({ value }) => value.name));
  for (const name of routes.topics.filter((routed) => !declared.has(routed))) {
    const routed = await declareTopic(pubsub, { name, labels: {} });
    if (routed === 'created') core.logger.info({ name }, 'created the topic of a route');
  }
  for (const { where, value } of config.subscriptions) {
    await declareOne(
      core,
      where,
      () => subscriptionFromJson(value, ''),
      (made) => declareSubscription(pubsub, made),
    );
  }
}

/** @throws Error that begins with the place in the file. */
async function declareOne<T extends { readonly name: string }>(
  { logger }: Core,
  where: string,
  decode: () => T,
  declareIt: (value: T) => Promise<Declared>,
): Promise<void> {
  try {
    const value = decode();
    const declared = await declareIt(value);
    if (declared === 'created') logger.info({ name: value.name, where }, 'created');
    if (declared === 'differs') {
      logger.warn({ name: value.name, where }, 'stored with another definition, which stays; change it over the API');
    }
  } catch (error) {
    if (!(error instanceof PubSubError)) throw error;
    throw new Error(`${where}: ${error.message}`, { cause: error });
  }
}
