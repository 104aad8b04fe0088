import type { DevicePublish, DeviceUplink, Uplink } from '../bridge/uplink.ts';

/** The same uplink; what it throws at once comes back as a rejection, like everything else that goes wrong in it. */
export function guardUplink(uplink: Uplink): Uplink {
  return {
    open: (clientId) => new GuardedDevice(uplink.open(clientId)),
    release: async (scope, packetId) => uplink.release(scope, packetId),
  };
}

class GuardedDevice implements DeviceUplink {
  readonly #device: DeviceUplink;

  constructor(device: DeviceUplink) {
    this.#device = device;
  }

  accept(publish: DevicePublish): Promise<void> | undefined {
    try {
      return this.#device.accept(publish);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}
