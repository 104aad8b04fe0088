import { randomBytes } from 'node:crypto';
import { type Connection, openLink } from '../../src/store/redis/connection.ts';
import { RedisMqttState } from '../../src/store/redis/mqtt-state.ts';
import type { MqttState, MqttStateLimits } from '../../src/store/store.ts';
import type { MqttStore } from './mqtt-deployment.ts';
import { StallableLink } from './stallable-link.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Nodes of one deployment on a Redis that others use too. */
export interface RedisMqttStore extends MqttStore {
  readonly prefix: string;
  /** Stops a node, as SIGSTOP does. */
  stall(state: MqttState): void;
  resume(state: MqttState): void;
  linkOf(state: MqttState): StallableLink;
}

export type OpenRedisMqttStore = (clock: VirtualClock, limits: MqttStateLimits) => Promise<RedisMqttStore>;

export function redisMqttStore(url: () => string): OpenRedisMqttStore {
  return async (clock, limits) => {
    const prefix = `${randomBytes(6).toString('hex')}:`;
    const nodes = new Map<MqttState, { readonly link: Connection; readonly stallable: StallableLink }>();
    return {
      prefix,
      async node() {
        const link = await openLink(url(), { clock });
        const stallable = new StallableLink(link);
        const state = new RedisMqttState({ link: stallable, prefix, limits });
        nodes.set(state, { link, stallable });
        return state;
      },
      stall: (state) => nodes.get(state)!.stallable.stall(),
      linkOf: (state) => nodes.get(state)!.stallable,
      resume: (state) => nodes.get(state)!.stallable.resume(),
      async crash(state) {
        await nodes.get(state)!.link.close();
        nodes.delete(state);
      },
      async remove() {
        for (const { stallable } of nodes.values()) stallable.resume();
        await Promise.all([...nodes.keys()].map((state) => state.close()));
        await Promise.all([...nodes.values()].map(({ link }) => link.close()));
      },
    };
  };
}
