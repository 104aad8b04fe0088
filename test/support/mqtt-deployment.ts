import type { MqttState, MqttStateLimits, TakenWill } from '../../src/store/store.ts';
import { type Listener, listener } from './mqtt-listener.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Where the nodes of one deployment keep their MQTT state. */
export interface MqttStore {
  /** One more node, not yet open. An embedded store has one at a time. */
  node(): Promise<MqttState>;
  /** Ends a node as a kill does: without a word. */
  crash(state: MqttState): Promise<void>;
  /** Closes what is still open and removes everything. */
  remove(): Promise<void>;
}

export type OpenMqttDeployment = (clock: VirtualClock, limits: MqttStateLimits) => Promise<MqttStore>;

export interface NodeUnderTest {
  readonly state: MqttState;
  readonly heard: Listener;
}

export interface MqttDeployment {
  /** One more node, open. */
  join(): Promise<NodeUnderTest>;
  crash(state: MqttState): Promise<void>;
  /** Has all nodes sweep until nothing comes any more, and says that what came was sent. */
  sweepAll(): Promise<TakenWill[]>;
  /** Lets time pass, with a sweep of all nodes every second. */
  pass(ms: number): Promise<TakenWill[]>;
  /** The same, until what came satisfies; it is not said to be sent. */
  passUntil(ms: number, isEnough: (wills: readonly TakenWill[]) => boolean): Promise<TakenWill[]>;
  remove(): Promise<void>;
}

const defaults: MqttStateLimits = {
  sessionsMax: 1000,
  sessionQueueMessagesMax: 10_000,
  sessionQueueBytesMax: 1_048_576,
  retainedMessagesMax: 1000,
  retainedBytesMax: 1_048_576,
  takeoverMs: 5000,
  nodeDeadMs: 5000,
  forwardBytesMax: 1_048_576,
};

export async function deploymentUnderTest(
  open: OpenMqttDeployment,
  clock: VirtualClock,
  limits: Partial<MqttStateLimits> = {},
): Promise<MqttDeployment> {
  const store = await open(clock, { ...defaults, ...limits });
  const states = new Set<MqttState>();

  async function sweepOnce(): Promise<TakenWill[]> {
    const wills: TakenWill[] = [];
    for (const state of states)
      for (let some = true; some; ) {
        const found = await state.sweep();
        wills.push(...found);
        some = found.length > 0;
      }
    return wills;
  }

  async function sent(wills: TakenWill[]): Promise<TakenWill[]> {
    for (const will of wills) await [...states][0]!.willSent(will);
    return wills;
  }

  async function passUntil(ms: number, isEnough: (wills: readonly TakenWill[]) => boolean): Promise<TakenWill[]> {
    const wills: TakenWill[] = [];
    for (let passed = 0; passed < ms && !isEnough(wills); passed += 1000) {
      clock.advance(Math.min(1000, ms - passed));
      wills.push(...(await sweepOnce()));
    }
    return wills;
  }

  return {
    async join() {
      const [state, heard] = [await store.node(), listener()];
      await state.open(heard);
      states.add(state);
      return { state, heard };
    },
    async crash(state) {
      states.delete(state);
      await store.crash(state);
    },
    sweepAll: async () => sent([...(await sweepOnce()), ...(await sweepOnce())]),
    pass: async (ms) => sent(await passUntil(ms, () => false)),
    passUntil,
    remove: () => store.remove(),
  };
}
