import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ConnectionRef, TakenWill } from '../../src/store/store.ts';
import { deploymentUnderTest, type MqttDeployment, type NodeUnderTest } from '../support/mqtt-deployment.ts';
import { holds } from '../support/property.ts';
import { type RedisMqttStore, redisMqttStore } from '../support/redis-mqtt-store.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

type Step =
  | {
      do: 'connect';
      node: number;
      client: number;
      clean: boolean;
      expirySeconds: number;
      delaySeconds: number | undefined;
    }
  | { do: 'disconnect'; client: number; polite: boolean }
  | { do: 'late disconnect'; pick: number; polite: boolean }
  | { do: 'enqueue'; node: number; client: number }
  | { do: 'crash' | 'stall' | 'resume'; node: number }
  | { do: 'pass'; seconds: number };

const node = fc.nat({ max: 2 });
const client = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('connect' as const),
      node,
      client,
      clean: fc.boolean(),
      expirySeconds: fc.constantFrom(0, 4, 30),
      delaySeconds: fc.constantFrom(0, 0, 5, undefined),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('disconnect' as const), client, polite: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('late disconnect' as const), pick: fc.nat(), polite: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('enqueue' as const), node, client }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'stall' as const, 'resume' as const), node }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.constantFrom(1, 3, 8) }) },
);

/** A connection that was granted, and what became of it as far as the test has a say in it. */
interface Granted {
  readonly ref: ConnectionRef;
  readonly sessionId: string;
  readonly node: NodeUnderTest;
  /** Of its will; undefined: it has none. */
  readonly delaySeconds: number | undefined;
  /** replaced: another connection was granted; broken: broken off, or its node is gone; polite: it said goodbye. */
  end: 'replaced' | 'broken' | 'polite' | undefined;
  /** Its node was silent for a while: the others may have declared it dead. */
  doubtful: boolean;
  /** The client came back before it was known what becomes of the will. */
  followed: boolean;
}

/**
 * Nodes, clients, connections that come and go in any order, nodes that die or are silent for a while. At every moment a
 * client has one connection at most; in the end each will was sent once if it was owed and never if it was not.
 */
class World {
  readonly clock: VirtualClock;
  readonly store: RedisMqttStore;
  readonly deployment: MqttDeployment;
  readonly nodes: (NodeUnderTest & { stalled: boolean })[] = [];
  readonly granted: Granted[] = [];
  readonly sent = new Map<string, number>();
  /** What was accepted into the queue of each session. */
  readonly accepted = new Map<string, string[]>();

  constructor(clock: VirtualClock, store: RedisMqttStore, deployment: MqttDeployment) {
    this.clock = clock;
    this.store = store;
    this.deployment = deployment;
  }

  async join(place: number): Promise<void> {
    this.nodes[place] = { ...(await this.deployment.join()), stalled: false };
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'connect':
        return this.#connect(step);
      case 'disconnect':
        return this.#disconnect(this.#latest(step.client), step.polite);
      case 'late disconnect':
        return this.#disconnect(this.granted[step.pick % Math.max(1, this.granted.length)], step.polite);
      case 'enqueue':
        return this.#enqueue(step.node, step.client);
      case 'crash':
        return this.#crash(step.node);
      case 'stall':
        return this.#stall(step.node);
      case 'resume':
        return this.#resume(step.node);
      case 'pass':
        return this.pass(step.seconds);
    }
  }

  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1000);
      for (const { state, stalled } of this.nodes) {
        if (stalled) continue;
        for (const will of await state.sweep()) await this.#send(state, will);
      }
    }
  }

  async settleDown(): Promise<void> {
    for (const place of this.nodes.keys()) await this.#resume(place);
    await this.pass(12);
    for (const connection of this.granted) if (!connection.end) await this.#disconnect(connection, false);
    await this.pass(45);
  }

  /** Whoever holds the client is the last that was granted it. */
  async checkOwners(): Promise<void> {
    for (const name of clients) {
      const own = this.granted.filter(({ ref }) => ref.clientId === name);
      for (const {
        ref,
        node: { state },
        end,
      } of own) {
        if (this.#isStalled(state) || !this.#isThere(state)) continue;
        if (end === 'broken' || end === 'polite') continue; // over: nobody asks for it any more
        const held = await state.subscribe(ref, { added: {}, removed: [] });
        if (held === 'held') expect(ref, `the owner of ${name}`).toEqual(own.at(-1)!.ref);
      }
    }
  }

  checkWills(): void {
    for (const connection of this.granted) {
      const sent = this.sent.get(connection.ref.connection) ?? 0;
      const name = `times that the will of ${JSON.stringify(described(connection))} was sent`;
      const { delaySeconds, end, doubtful, followed } = connection;
      if (delaySeconds === undefined || (end === 'polite' && !doubtful)) expect(sent, name).toBe(0);
      else if (end === 'polite' || (delaySeconds > 0 && followed)) expect(sent, name).toBeLessThanOrEqual(1);
      else expect(sent, name).toBe(1);
    }
  }

  async #connect({
    node: place,
    client: who,
    clean,
    expirySeconds,
    delaySeconds,
  }: Step & { do: 'connect' }): Promise<void> {
    const on = this.nodes[place]!;
    if (on.stalled) return;
    const connection = `c${this.granted.length}`;
    const ref = { clientId: clients[who]!, connection };
    const grant = await on.state.connect({
      ...ref,
      cleanStart: clean,
      expirySeconds,
      newSessionId: `s-${connection}`,
      will: delaySeconds === undefined ? undefined : { message: Buffer.from(connection), delaySeconds },
    });
    for (const earlier of this.granted) {
      if (earlier.ref.clientId !== ref.clientId) continue;
      earlier.followed = true;
      earlier.end ??= 'replaced';
    }
    const { sessionId } = grant;
    this.granted.push({ ref, sessionId, node: on, delaySeconds, end: undefined, doubtful: false, followed: false });
    if (grant.earlierWill) await this.#send(on.state, grant.earlierWill);
    expect(grant.present, 'present').toBe(sessionId !== `s-${connection}`);
    await this.#checkQueue(on, sessionId);
  }

  async #checkQueue({ state }: NodeUnderTest, sessionId: string): Promise<void> {
    const { messages } = await state.queued(sessionId, 0, 1000, 1_048_576);
    expect(messages.map((queued) => `${queued.message}`)).toEqual(this.accepted.get(sessionId) ?? []);
    expect(messages.map(({ id }) => id)).toEqual(messages.map((_, i) => i + 1));
  }

  async #disconnect(connection: Granted | undefined, polite: boolean): Promise<void> {
    if (!connection || this.#isStalled(connection.node.state) || !this.#isThere(connection.node.state)) return;
    if (connection.end === 'polite' || connection.end === 'broken') return;
    const { state } = connection.node;
    const will = await state.disconnect(connection.ref, { sendWill: !polite, expirySeconds: 10, sentUpTo: undefined });
    connection.end ??= polite ? 'polite' : 'broken';
    if (will) await this.#send(state, will);
  }

  async #enqueue(place: number, who: number): Promise<void> {
    const on = this.nodes[place]!;
    const sessionId = this.#latest(who)?.sessionId;
    if (on.stalled || sessionId === undefined) return;
    const accepted = this.accepted.get(sessionId) ?? [];
    this.accepted.set(sessionId, accepted);
    const text = `${accepted.length}`;
    if ((await on.state.enqueue([{ sessionId, message: Buffer.from(text) }])) === 0) accepted.push(text);
  }

  async #crash(place: number): Promise<void> {
    const { state } = this.nodes[place]!;
    await this.deployment.crash(state);
    for (const connection of this.granted) {
      if (connection.node.state === state && !connection.end) connection.end = 'broken';
    }
    await this.join(place);
  }

  async #stall(place: number): Promise<void> {
    const on = this.nodes[place]!;
    if (this.nodes.some(({ stalled }) => stalled)) return;
    on.stalled = true;
    this.store.stall(on.state);
    for (const connection of this.granted) if (connection.node.state === on.state) connection.doubtful = true;
  }

  async #resume(place: number): Promise<void> {
    const on = this.nodes[place]!;
    if (!on.stalled) return;
    on.stalled = false;
    this.store.resume(on.state);
    for (const will of await on.state.sweep()) await this.#send(on.state, will);
  }

  async #send(state: NodeUnderTest['state'], will: TakenWill): Promise<void> {
    expect(`${will.message}`, 'the message of a will').toBe(will.id);
    this.sent.set(will.id, (this.sent.get(will.id) ?? 0) + 1);
    await state.willSent(will);
  }

  #latest(who: number): Granted | undefined {
    return this.granted.findLast(({ ref }) => ref.clientId === clients[who]);
  }

  #isStalled(state: NodeUnderTest['state']): boolean {
    return this.nodes.some((other) => other.state === state && other.stalled);
  }

  #isThere(state: NodeUnderTest['state']): boolean {
    return this.nodes.some((other) => other.state === state);
  }
}

const clients = ['w', 'x', 'y', 'z'];

function described({ ref, delaySeconds, end, doubtful, followed }: Granted) {
  return { ...ref, delaySeconds, end, doubtful, followed };
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.remove());

it('mqtt state on redis - a client has one owner at most, and each will is sent once or never, whatever happens', {
  timeout: 120_000,
}, async () => {
  const runs = Number(process.env['MODEL_RUNS'] ?? 25);
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
    const clock = virtualClock();
    let store: RedisMqttStore | undefined;
    const deployment = await deploymentUnderTest(
      async (...args) => {
        store = await redisMqttStore(() => redis.url)(...args);
        return store;
      },
      clock,
      { takeoverMs: 50, nodeDeadMs: 3000 },
    );
    try {
      const world = new World(clock, store!, deployment);
      for (const place of [0, 1, 2]) await world.join(place);
      await world.pass(4);
      for (const next of steps) {
        await world.take(next);
        await world.checkOwners();
      }
      await world.settleDown();
      world.checkWills();
    } finally {
      await deployment.remove();
    }
  });
  await holds(property, runs);
});
