import { accessSync, constants } from 'node:fs';
import { isLoopback } from './loopback.ts';
import type { SettingKey, Settings } from './settings.ts';
import { isEmbedded } from './store-url.ts';

/** How the giver of a setting would name it. */
type Where = (key: SettingKey) => string;

/** What is wrong with settings that are each allowed alone: one line each. */
export function checkTogether(settings: Settings, where: Where): string[] {
  return [
    ...checkHost(settings, where),
    ...checkStore(settings, where),
    ...checkPorts(settings, where),
    ...checkTls(settings, where),
    ...(settings.pushCaFile === undefined ? [] : unreadable(where('pushCaFile'), settings.pushCaFile)),
  ];
}

/** I12: off loopback nobody gets in without credentials, and this release has none to configure. */
function checkHost({ host, allowAnonymous }: Settings, where: Where): string[] {
  if (allowAnonymous || isLoopback(host)) return [];
  const choice = 'listen on 127.0.0.1, or set --allow-anonymous if everyone who can reach it may publish and pull';
  return [`${where('host')} ${host} lets other machines in, and no credentials are configured; ${choice}.`];
}

/** The embedded store belongs to one process and has no replicas: who asks for them expects more than he would get. */
function checkStore({ store, workers, redisWait, redisWaitAof }: Settings, where: Where): string[] {
  if (store !== undefined && !isEmbedded(store)) return [];
  const without = (key: SettingKey, why: string) =>
    `${where(key)} ${why}; name a redis:// store with --store, or leave it out.`;
  return [
    ...(workers > 1 ? [without('workers', `is ${workers}, and the embedded store belongs to one process`)] : []),
    ...(redisWait > 0 ? [without('redisWait', 'has no meaning for the embedded store, which has no replicas')] : []),
    ...(redisWaitAof ? [without('redisWaitAof', 'has no meaning for the embedded store, which always waits')] : []),
  ];
}

function checkPorts({ mqttPort, mqttsPort, httpPort }: Settings, where: Where): string[] {
  const ports = Object.entries({ mqttPort, mqttsPort, httpPort }) as [SettingKey, number | undefined][];
  return ports.flatMap(([key, port], i) => {
    const twin = port ? ports.slice(0, i).find(([, other]) => other === port) : undefined;
    return twin ? [`${where(twin[0])} and ${where(key)} are both ${port}; each needs a port of its own.`] : [];
  });
}

/** The configuration holds no secrets, so the files are not read here; that they can be read is checked all the same. */
function checkTls({ mqttsPort, mqttsCertFile, mqttsKeyFile }: Settings, where: Where): string[] {
  if (mqttsPort === undefined && mqttsCertFile === undefined && mqttsKeyFile === undefined) return [];
  if (mqttsPort === undefined || mqttsCertFile === undefined || mqttsKeyFile === undefined) {
    return ['MQTT over TLS needs --mqtts-port, --mqtts-cert-file and --mqtts-key-file; give all of them or none.'];
  }
  return [...unreadable(where('mqttsCertFile'), mqttsCertFile), ...unreadable(where('mqttsKeyFile'), mqttsKeyFile)];
}

function unreadable(where: string, path: string): string[] {
  try {
    accessSync(path, constants.R_OK);
    return [];
  } catch (error) {
    return [`${where} ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}.`];
  }
}
