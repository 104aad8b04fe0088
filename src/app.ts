import { readFileSync } from 'node:fs';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { Registry } from 'prom-client';
import { subscriptionFromJson } from './api/json/subscription-json.ts';
import { topicFromJson } from './api/json/topic-json.ts';
import { openPort, type Port } from './api/port.ts';
import { serveOidc } from './api/push/oidc-routes.ts';
import { defaultRoutes } from './bridge/default-routes.ts';
import { RoutedUplink } from './bridge/routed-uplink.ts';
import { Routes } from './bridge/routes.ts';
import type { Uplink } from './bridge/uplink.ts';
import { isLoopback } from './config/loopback.ts';
import type { Config } from './config.ts';
import { PubSubError } from './domain/errors.ts';
import { defaultMqttLimits } from './mqtt/limits.ts';
import { type MqttServer, openMqttServer } from './mqtt/mqtt-server.ts';
import { type Declared, declareSubscription, declareTopic } from './pubsub/declare.ts';
import { type OpenPubSub, openPubSub } from './pubsub/open-pubsub.ts';
import type { PushOptions } from './pubsub/push/open-push.ts';
import { openStore, type RedisOptions } from './store/open-store.ts';
import type { Store } from './store/store.ts';
import type { Logger } from './telemetry/logger.ts';
import { createRegistry, type Exposition, exposeMetrics } from './telemetry/metrics.ts';
import { type Readings, serverMetrics } from './telemetry/server-metrics.ts';
import { StoreWatch } from './telemetry/store-watch.ts';

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
 * @param exposition what /metrics shows, where that is more than this process's own metrics.
 * @throws Error one sentence that says what to do: a port is taken, a directory is in use, a declaration is wrong.
 */
export async function startApp(
  config: Config,
  logger: Logger,
  version: string,
  exposition: (own: Registry) => Exposition = (own) => own,
): Promise<App> {
  const clock = Date.now;
  const store = await openStore({ url: config.store, clock, redis: redisOptions(config) });
  const storeWatch = new StoreWatch({ ask: () => store.health(), logger });
  const { logCacheBytesMax, retentionSweepMs, topicPartitions } = config;
  const limits = { logCacheBytesMax, retentionSweepMs, topicPartitions };
  const here = { url: urlOf('http', config.host, config.httpPort) };
  const pubsub = openPubSub({ store, clock, logger, limits, push: pushOptions(config, () => here.url) });
  const close = async () => {
    await pubsub.close();
    storeWatch.close();
    await store.close();
  };
  try {
    await storeWatch.check(); // the log says what an acknowledgement is worth before there is one
    return await openDoors({ config, logger, version, exposition, clock, store, storeWatch, pubsub, here, close });
  } catch (error) {
    await close();
    throw error;
  }
}

function pushOptions(config: Config, hereUrl: () => string): Partial<PushOptions> {
  const { host, publicUrl, pushAllow, pushCaFile } = config;
  return {
    // Whoever may ask for a push to this machine is on it already, as long as nobody else is let in.
    egress: { loopback: isLoopback(host), allow: pushAllow?.split(',') ?? [] },
    issuer: () => publicUrl ?? hereUrl(),
    ...(pushCaFile && { ca: readFileSync(pushCaFile, 'utf8') }), // the config has checked that it can be read
  };
}

function redisOptions({ redisPrefix, redisWait, redisWaitAof, redisTimeoutMs }: Config): RedisOptions {
  return { prefix: redisPrefix, waitReplicas: redisWait, waitAof: redisWaitAof, timeoutMs: redisTimeoutMs };
}

interface Core {
  readonly config: Config;
  readonly logger: Logger;
  readonly version: string;
  readonly exposition: (own: Registry) => Exposition;
  readonly clock: () => number;
  readonly store: Store;
  readonly storeWatch: StoreWatch;
  readonly pubsub: OpenPubSub;
  /** Where clients find this server; the port is known once it listens. */
  readonly here: { url: string };
  /** What is below the doors. */
  readonly close: () => Promise<void>;
}

async function openDoors(core: Core): Promise<App> {
  const { config, store, storeWatch, pubsub } = core;
  const routes = new Routes([...config.routes, ...(config.defaultRoutes ? defaultRoutes : [])], config.project);
  await declareAll(core, routes);
  const uplink = new RoutedUplink({ routes, publisher: pubsub.publisher });
  const registry = createRegistry();
  const http = await openHttp(core, core.exposition(registry));
  serveOidc(http.app, pubsub.push);
  const mqtt = await openMqtt(core, uplink);
  mqtt.attachWebSocket(http.server, webSocketPath);
  exposeAll(registry, {
    store,
    storeState: () => storeWatch.last,
    pubsub: () => pubsub.counters(),
    uplink: () => uplink.counters(),
    http: () => http.counters(),
    mqtt: () => mqtt.counters(),
  });
  const { host, httpPort, mqttPort } = config;
  const httpUrl = await http.listen({ host, port: httpPort });
  core.here.url = httpUrl;
  const mqttUrl = urlOf(
    'mqtt',
    host,
    await listening('--mqtt-port', mqttPort, mqtt.listenTcp({ host, port: mqttPort })),
  );
  const mqttsUrl = await listenTls(config, mqtt);
  return {
    urls: { mqtt: mqttUrl, ...(mqttsUrl ? { mqtts: mqttsUrl } : {}), http: httpUrl },
    durability: storeWatch.last.durability,
    async close(deadlineMs) {
      await Promise.all([mqtt.close(deadlineMs), http.close(deadlineMs), pubsub.push.close(deadlineMs)]);
      await core.close();
    },
  };
}

function openHttp({ config, logger, version, clock, storeWatch, pubsub }: Core, registry: Exposition): Promise<Port> {
  const limits = { connectionsMax: config.httpConnectionsMax, pullWaitMs: config.pullWaitMs };
  return openPort({ pubsub, health: () => storeWatch.check(), registry, logger, clock, version, limits });
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
  const state = store.mqttState({ ...defaultMqttLimits, ...limits });
  return openMqttServer({ uplink, state, logger, clock, limits });
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
  for (const { where, value, partitions } of config.topics) {
    await declareOne(
      core,
      where,
      () => topicFromJson(value, ''),
      (topic) => declareTopic(pubsub, topic, partitions),
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
    if (declared === 'grown') logger.info({ name: value.name, where }, 'split over more partitions');
    if (declared === 'differs') {
      logger.warn({ name: value.name, where }, 'stored with another definition, which stays; change it over the API');
    }
  } catch (error) {
    if (!(error instanceof PubSubError)) throw error;
    throw new Error(`${where}: ${error.message}`, { cause: error });
  }
}
