import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Config } from '../config.ts';

/**
 * Puts a port that is free now in the place of each 0. Left to themselves workers would share what the first of them
 * got, but only as long as one of them lives: the first after a moment without any would be given another port.
 * Another process could take the port before the first worker does; that start then fails with the port's number.
 */
export async function withFixedPorts(config: Config): Promise<Config> {
  const keys = (['mqttPort', 'mqttsPort', 'httpPort'] as const).filter((key) => config[key] === 0);
  const probes = keys.map(() => createServer());
  try {
    const ports = await Promise.all(
      keys.map(async (key, i) => {
        await once(probes[i]!.listen({ host: config.host, port: 0 }), 'listening');
        return [key, (probes[i]!.address() as AddressInfo).port] as const;
      }),
    );
    return { ...config, ...Object.fromEntries(ports) };
  } finally {
    await Promise.all(probes.map((probe) => probe.listening && once(probe.close(), 'close')));
  }
}
