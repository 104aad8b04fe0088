import { accessSync, constants } from 'node:fs';
import { isLoopback } from './loopback.ts';
import { isLaterStore, type SettingKey, type Settings } from './settings.ts';

/** How the giver of a setting would name it. */
type Where = (key: SettingKey) => string;

/** What is wrong with settings that are each allowed alone: one line each. */
export function checkTogether(settings: Settings, where: Where): string[] {
  return [
    ...checkHost(settings, where),
    ...checkStore(settings, where),
    ...checkPorts(settings, where),
    ...checkTls(settings, where),
  ];
}

/** I12: off loopback nobody gets in without credentials, and this release has none to configure. */
function checkHost({ host, allowAnonymous }: Settings, where: Where): string[] {
  if (allowAnonymous || isLoopback(host)) return [];
  const choice = 'listen on 127.0.0.1, or set --allow-anonymous if everyone who can reach it may publish and pull';
  return [`${where('host')} ${host} lets other machines in, and no credentials are configured; ${choice}.`];
}

function checkStore({ store }: Settings, where: Where): string[] {
  if (store === undefined || !isLaterStore(store)) return [];
  return [`${where('store')} ${store.split(':')[0]}: is not served in this release; use lmdb: and a path.`];
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
