import { isIPv6 } from 'node:net';
import type { Registry } from 'prom-client';
import { openHttpServer } from './api/http/http-server.ts';
import { subscriptionFromJson } from './api/json/subscription-json.ts';
import { topicFromJson } from './api/json/topic-json.ts';
import { defaultRoutes } from './bridge/default-routes.ts';
import { RoutedUplink } from './bridge/routed-uplink.ts';
import { Routes } from './bridge/routes.ts';
import type { Config } from './config.ts';
import { PubSubError } from './domain/errors.ts';
import { openMqttServer } from './mqtt/mqtt-server.ts';
import { declare } from './pubsub/declare.ts';
import { type OpenPubSub, openPubSub } from './pubsub/open-pubsub.ts';
import { openStore } from './store/open-store.ts';
import type { Store } from './store/store.ts';
import type { Logger } from './telemetry/logger.ts';
import { createRegistry, exposeMetrics } from './telemetry/metrics.ts';
import { type Readings, serverMetrics } from './telemetry/server-metrics.ts';

export interface App {
  readonly mqttUrl: string;
  readonly httpUrl: string;
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
  const pubsub = openPubSub({ store, clock, logger });
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
  const { config, logger, version, clock, store, pubsub } = core;
  const routes = new Routes([...config.routes, ...(config.defaultRoutes ? defaultRoutes : [])], config.project);
  await declareAll(core, routes);
  const uplink = new RoutedUplink({ routes, publisher: pubsub.publisher });
  const registry = createRegistry();
  const http = await openHttpServer({ pubsub, health: () => store.health(), registry, logger, clock, version });
  const mqtt = await openMqttServer({
    uplink,
    sessions: store.table('sessions'),
    logger,
    clock,
    limits: mqttLimits(config),
  });
  mqtt.attachWebSocket(http.server, webSocketPath);
  exposeAll(registry, {
    store,
    pubsub: () => pubsub.counters(),
    uplink: () => uplink.counters(),
    http: () => http.counters(),
    mqtt: () => mqtt.counters(),
  });
  const httpUrl = await http.listen({ host: config.host, port: config.httpPort });
  const mqttPort = await mqtt.listenTcp({ host: config.host, port: config.mqttPort });
  const { durability } = await store.health();
  return {
    mqttUrl: `mqtt://${isIPv6(config.host) ? `[${config.host}]` : config.host}:${mqttPort}`,
    httpUrl,
    durability,
    async close(deadlineMs) {
      await Promise.all([mqtt.close(deadlineMs), http.close(deadlineMs)]);
      await pubsub.close();
      await store.close();
    },
  };
}

function exposeAll(registry: Registry, readings: Readings): void {
  exposeMetrics(registry, serverMetrics(readings));
}

/** Creates the topics that routes lead to, and what the file declares, where they are missing. */
async function declareAll({ config, logger, pubsub }: Core, routes: Routes): Promise<void> {
  const routed = routes.topics.map((name) => ({ name, labels: {} }));
  const topics = config.topics.map(({ where, value }) => decoded(where, () => topicFromJson(value, '')));
  const subscriptions = config.subscriptions.map(({ where, value }) =>
    decoded(where, () => subscriptionFromJson(value, '')),
  );
  const created = await declare(pubsub, [...topics, ...routed], subscriptions);
  for (const name of created) logger.info({ name }, 'created');
}

function decoded<T>(where: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof PubSubError)) throw error;
    throw new Error(`${where}: ${error.message}`, { cause: error });
  }
}

function mqttLimits(config: Config) {
  return {
    connectionsMax: config.mqttConnectionsMax,
    packetBytesMax: config.mqttPacketBytesMax,
    inflightMax: config.mqttInflightMax,
    outboundBytesMax: config.mqttOutboundBytesMax,
    qos0BytesMax: config.mqttQos0BytesMax,
    storeDeadlineMs: config.mqttStoreDeadlineMs,
  };
}
