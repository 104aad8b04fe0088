import type { RouteDefinition } from '../domain/route.ts';

const events = { topic: 'telemetry', attributes: { deviceId: '{deviceId}', subFolder: '{subFolder}' } };
const state = { topic: 'device-state', attributes: { deviceId: '{deviceId}', subFolder: '' } };

/** Served without any configuration (ARCHITECTURE §5): the topics that devices of Google's IoT Core published to. */
export const defaultRoutes: readonly RouteDefinition[] = [
  { name: 'default-events', filter: 'devices/{deviceId}/events/{subFolder#}', orderingKey: '{deviceId}', ...events },
  {
    name: 'default-events-slash',
    filter: '/devices/{deviceId}/events/{subFolder#}',
    orderingKey: '{deviceId}',
    ...events,
  },
  { name: 'default-state', filter: 'devices/{deviceId}/state', orderingKey: '{deviceId}', ...state },
  { name: 'default-state-slash', filter: '/devices/{deviceId}/state', orderingKey: '{deviceId}', ...state },
];
