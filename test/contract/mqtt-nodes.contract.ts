import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionRef, MqttState, MqttStateLimits, TakenWill } from '../../src/store/store.ts';
import { deploymentUnderTest, type MqttDeployment, type NodeUnderTest } from '../support/mqtt-deployment.ts';
import type { OpenRedisMqttStore, RedisMqttStore } from '../support/redis-mqtt-store.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

const goodbye = { sendWill: false, expirySeconds: 60, sentUpTo: undefined };
const brokenOff = { ...goodbye, sendWill: true };
const will = (text: string, delaySeconds = 0) => ({ message: Buffer.from(text), delaySeconds });
/** Longer than a silent node lives. */
const deadMs = 7000;

/** What nodes promise each other; every adapter that has many nodes passes these. */
export function mqttNodesContract(adapter: string, open: OpenRedisMqttStore): void {
  describe(`${adapter} keeps the contract of MQTT nodes`, () => {
    let clock: VirtualClock;
    let store: RedisMqttStore;
    let deployment: MqttDeployment;
    let a: NodeUnderTest;
    let b: NodeUnderTest;

    beforeEach(() => start());
    afterEach(() => deployment.remove());

    async function start(limits: Partial<MqttStateLimits> = {}): Promise<void> {
      await deployment?.remove();
      clock = virtualClock();
      const opened = async (...args: Parameters<OpenRedisMqttStore>) => {
        store = await open(...args);
        return store;
      };
      deployment = await deploymentUnderTest(opened, clock, limits);
      a = await deployment.join();
      b = await deployment.join();
      await deployment.pass(6000); // nodes that were just started do not judge others
    }

    let connections = 0;
    type Options = Partial<Parameters<MqttState['connect']>[0]>;
    async function connect({ state }: NodeUnderTest, clientId: string, options: Options = {}) {
      const at: ConnectionRef = { clientId, connection: `c${++connections}` };
      const newSessionId = `s-${at.connection}`;
      const request = { ...at, cleanStart: false, expirySeconds: 60, newSessionId, will: undefined, ...options };
      return { at, grant: await state.connect(request) };
    }

    const held = ({ state }: NodeUnderTest, at: ConnectionRef) => state.subscribe(at, { added: {}, removed: [] });
    const enqueue = ({ state }: NodeUnderTest, sessionId: string, ...texts: string[]) =>
      state.enqueue(texts.map((text) => ({ sessionId, message: Buffer.from(text) })));
    async function queued({ state }: NodeUnderTest, sessionId: string): Promise<string[]> {
      const { messages } = await state.queued(sessionId, 0, 1000, 1_048_576);
      return messages.map(({ id, message }) => `${id}:${Buffer.from(message)}`);
    }

    /** Has the others find out that a node is dead; it hears nothing of it. */
    async function bury(node: NodeUnderTest, ...others: NodeUnderTest[]): Promise<TakenWill[]> {
      store.stall(node.state);
      const wills: TakenWill[] = [];
      for (let passed = 0; passed < deadMs; passed += 1000) {
        clock.advance(1000);
        for (const { state } of others)
          for (let some = true; some; ) {
            const found = await state.sweep();
            wills.push(...found);
            some = found.length > 0;
          }
      }
      await others[0]!.heard.until(() => others[0]!.heard.gone.includes(node.state.node));
      return wills;
    }

    describe('takeover', () => {
      it('takeover - ends the connection on the other node before the new one is granted', async () => {
        const first = await connect(a, 'x', { will: will('of the first') });
        await a.state.subscribe(first.at, { added: { t: 1 }, removed: [] });
        let isOver = false;
        a.heard.onReplaced = async (ref) => {
          expect(ref).toEqual(first.at);
          await new Promise(setImmediate);
          isOver = true;
        };
        const { grant } = await connect(b, 'x');
        expect(isOver).toBe(true);
        expect(grant).toMatchObject({ present: true, subscriptions: { t: 1 }, previous: first.at.connection });
        expect(texts([grant.earlierWill])).toEqual(['of the first']);
        expect(b.state.counters()).toMatchObject({ takeovers: 1, takeoverTimeouts: 0 });
      });

      it('takeover - leaves the older connection nothing to change', async () => {
        const first = await connect(a, 'x');
        const second = await connect(b, 'x', { will: will('of the second') });
        expect(await a.state.subscribe(first.at, { added: { t: 1 }, removed: [] })).toBe('lost');
        expect(await a.state.disconnect(first.at, { ...brokenOff, expirySeconds: 0 })).toBeUndefined();
        expect(texts(await deployment.pass(120_000))).toEqual([]);
        expect(await held(b, second.at)).toBe('held');
        expect(b.heard.sessions.get(second.grant.sessionId)!.subscriptions).toEqual({});
      });

      it('takeover - does not wait for a stalled node beyond its bound', async () => {
        await start({ takeoverMs: 50 });
        await connect(a, 'x');
        store.stall(a.state);
        expect((await connect(b, 'x')).grant.present).toBe(true);
        expect(b.state.counters().takeoverTimeouts).toBe(1);
      });

      it('takeover - does not wait for a node that was killed a moment ago', async () => {
        await start({ takeoverMs: 60_000 });
        await connect(a, 'x');
        await deployment.crash(a.state);
        expect((await connect(b, 'x')).grant.present).toBe(true);
        expect(b.state.counters().takeoverTimeouts).toBe(0);
      });

      it('takeover - of many at once leaves one owner, who is the last that was granted', async () => {
        const c = await deployment.join();
        const nodes = [a, b, c];
        const tries = await Promise.all(
          Array.from({ length: 12 }, async (_, i) => ({ node: nodes[i % 3]!, ...(await connect(nodes[i % 3]!, 'x')) })),
        );
        const answers = await Promise.all(tries.map(({ node, at }) => held(node, at)));
        expect(answers.filter((answer) => answer === 'held')).toHaveLength(1);
        expect(new Set(tries.map(({ grant }) => grant.sessionId)).size).toBe(1);
      });
    });

    describe('session', () => {
      it('session - is known on every node when SUBSCRIBE is answered', async () => {
        const { at, grant } = await connect(a, 'x');
        await a.state.subscribe(at, { added: { 't/#': { qos: 1 } }, removed: [] });
        const { sessionId } = grant;
        expect(b.heard.sessions.get(sessionId)).toEqual({
          clientId: 'x',
          sessionId,
          subscriptions: { 't/#': { qos: 1 } },
        });
        expect(b.heard.interests).toContain(`${a.state.node} t/#`);
      });

      it('session - moves with its queue, in order', async () => {
        const first = await connect(a, 'x');
        const { sessionId } = first.grant;
        await enqueue(a, sessionId, 'one');
        await enqueue(b, sessionId, 'two');
        await a.state.disconnect(first.at, goodbye);
        await enqueue(a, sessionId, 'three');
        const second = await connect(b, 'x');
        expect(second.grant).toMatchObject({ present: true, sessionId });
        expect(await queued(b, sessionId)).toEqual(['1:one', '2:two', '3:three']);
        await b.state.settle(sessionId, [1, 2]);
        expect(await queued(a, sessionId)).toEqual(['3:three']);
      });

      it('session - that moved is not ended by the time of the node that had it', async () => {
        const first = await connect(a, 'x');
        await a.state.disconnect(first.at, { ...goodbye, expirySeconds: 10 });
        const second = await connect(b, 'x');
        await deployment.pass(20_000);
        expect(await held(b, second.at)).toBe('held');
        expect(a.heard.ended).toEqual([]);
      });

      it('session - that ends on one node ends on all', async () => {
        const { at, grant } = await connect(a, 'x');
        await a.state.disconnect(at, goodbye);
        await connect(b, 'x', { cleanStart: true });
        await a.heard.until(() => a.heard.ended.includes(grant.sessionId));
        expect(await enqueue(a, grant.sessionId, 'm')).toBe(1);
      });

      it('session - wakes its client on the node where that is', async () => {
        const { grant } = await connect(a, 'x');
        await enqueue(b, grant.sessionId, 'm');
        await a.heard.until(() => a.heard.queued.includes(grant.sessionId));
        expect(b.heard.queued).toEqual([]);
      });
    });

    describe('will', () => {
      it('will - with a delay is dropped when the client comes back on another node', async () => {
        const { at } = await connect(a, 'x', { will: will('late', 10) });
        await a.state.disconnect(at, brokenOff);
        expect((await connect(b, 'x')).grant.earlierWill).toBeUndefined();
        expect(texts(await deployment.pass(60_000))).toEqual([]);
      });

      it('will - with a delay is handed to one of many nodes', async () => {
        const { at } = await connect(a, 'x', { will: will('late', 10) });
        await a.state.disconnect(at, brokenOff);
        clock.advance(11_000);
        const both = await Promise.all([a.state.sweep(), b.state.sweep()]);
        expect(texts(both.flat())).toEqual(['late']);
      });

      it('will - of clients of a killed node are handed out once, by the others', async () => {
        const c = await deployment.join();
        await deployment.pass(6000);
        const names = Array.from({ length: 450 }, (_, i) => `x${i}`);
        await Promise.all(names.map((name) => connect(a, name, { will: will(name) })));
        await deployment.crash(a.state);
        expect(texts(await deployment.pass(12_000)).sort()).toEqual(names.sort());
        expect(c.heard.gone).toEqual([a.state.node]);
        expect((await connect(c, 'x7')).grant).toMatchObject({ present: true, earlierWill: undefined });
      });

      it('will - that a node took and did not send before it died is taken by another', async () => {
        const { at } = await connect(a, 'x', { will: will('twice taken') });
        expect(texts([await a.state.disconnect(at, brokenOff)])).toEqual(['twice taken']);
        await deployment.crash(a.state);
        expect(texts(await deployment.pass(20_000))).toEqual(['twice taken']);
      });
    });

    describe('node', () => {
      it('node - that joins learns everything', async () => {
        const { at, grant } = await connect(a, 'x');
        await a.state.subscribe(at, { added: { 't/#': 1 }, removed: [] });
        await a.state.retain('r', Buffer.from('kept'));
        const c = await deployment.join();
        expect([...c.heard.sessions.keys()]).toEqual([grant.sessionId]);
        expect([...c.heard.interests]).toEqual([`${a.state.node} t/#`]);
        expect([...c.heard.retained]).toEqual([['r', 'kept']]);
        expect(c.heard).toMatchObject({ resets: 0, currents: 1 });
        expect(c.state.counters().nodes).toBe(2);
      });

      it('node - that leaves gives up its clients at once', async () => {
        const { grant } = await connect(a, 'x', { will: will('of x') });
        await a.state.close();
        await b.heard.until(() => b.heard.gone.includes(a.state.node));
        expect(texts(await b.state.sweep())).toEqual(['of x']);
        expect((await connect(b, 'x')).grant).toMatchObject({ present: true, sessionId: grant.sessionId });
      });

      it('node - is not declared dead by one that was away itself', async () => {
        await connect(a, 'x', { will: will('of x') });
        clock.advance(60_000);
        expect(await b.state.sweep()).toEqual([]);
        clock.advance(1000);
        expect(await b.state.sweep()).toEqual([]);
        await a.state.sweep();
        expect(texts(await deployment.pass(20_000))).toEqual([]);
        expect([...a.heard.gone, ...b.heard.gone]).toEqual([]);
      });

      it('node - that was slow gets back the clients that nobody took, and loses the others', async () => {
        const kept = await connect(a, 'kept', { will: will('of kept', 30) });
        await a.state.subscribe(kept.at, { added: { t: 1 }, removed: [] });
        const light = await connect(a, 'light', { expirySeconds: 0 });
        const moved = await connect(a, 'moved');
        const wills = await bury(a, b);
        expect(wills).toEqual([]);
        expect(b.heard.interests).toEqual(new Set());
        const elsewhere = await connect(b, 'moved');
        expect(elsewhere.grant).toMatchObject({ present: true, sessionId: moved.grant.sessionId });
        await enqueue(b, kept.grant.sessionId, 'meanwhile');
        a.heard.queued.length = 0;

        store.resume(a.state);
        await a.state.sweep();
        await a.heard.until(() => a.heard.replaced.length > 0);
        expect(a.heard.replaced).toEqual([expect.objectContaining(moved.at)]);
        expect(await held(a, kept.at)).toBe('held');
        expect(await held(a, light.at)).toBe('held');
        expect(await held(b, elsewhere.at)).toBe('held');
        expect(a.heard.queued).toContain(kept.grant.sessionId);
        expect(b.heard.interests).toEqual(new Set([`${a.state.node} t`]));
        expect(texts(await deployment.pass(120_000))).toEqual([]);
        expect(await a.state.disconnect(kept.at, brokenOff)).toBeUndefined();
        expect(texts(await deployment.pass(59_000))).toEqual(['of kept']);
        expect((await connect(b, 'kept')).grant).toMatchObject({ present: true, subscriptions: { t: 1 } });
      });

      it('node - that was slow does not send a will again that another has sent', async () => {
        const { at } = await connect(a, 'x', { will: will('of x') });
        const wills = await bury(a, b);
        expect(texts(wills)).toEqual(['of x']);
        await b.state.willSent(wills[0]!);
        store.resume(a.state);
        await a.state.sweep();
        expect(await held(a, at)).toBe('held');
        expect(await a.state.disconnect(at, brokenOff)).toBeUndefined();
        expect(texts(await deployment.pass(120_000))).toEqual([]);
      });

      it('node - that was declared dead and does not know it yet can take a client', async () => {
        await bury(a, b);
        store.resume(a.state);
        const { at } = await connect(a, 'x');
        expect(await held(a, at)).toBe('held');
        await b.heard.until(() => b.state.counters().nodes === 1);
      });
    });

    describe('interest', () => {
      it('interest - is told once for all clients of a node, and taken back with the last', async () => {
        const first = await connect(a, 'x', { expirySeconds: 0 });
        const second = await connect(a, 'y', { expirySeconds: 0 });
        await a.state.subscribe(first.at, { added: { t: 1, u: 1 }, removed: [] });
        await a.state.subscribe(second.at, { added: { t: 1 }, removed: [] });
        const interests = (...filters: string[]) => new Set(filters.map((filter) => `${a.state.node} ${filter}`));
        expect(b.heard.interests).toEqual(interests('t', 'u'));
        await a.state.subscribe(first.at, { added: {}, removed: ['t', 'u'] });
        expect(b.heard.interests).toEqual(interests('t'));
        await a.state.disconnect(second.at, { ...brokenOff, expirySeconds: 0 });
        await b.heard.until(() => b.heard.interests.size === 0);
        expect(a.heard.interests.size).toBe(0);
      });

      it('interest - comes and goes with a resumed session', async () => {
        const first = await connect(a, 'x');
        await a.state.subscribe(first.at, { added: { t: 1 }, removed: [] });
        await a.state.disconnect(first.at, goodbye);
        await b.heard.until(() => b.heard.interests.size === 0);
        await connect(b, 'x');
        await a.heard.until(() => a.heard.interests.has(`${b.state.node} t`));
      });
    });

    describe('forward', () => {
      it('forward - reaches the nodes that it names, in order', async () => {
        const c = await deployment.join();
        const names = Array.from({ length: 500 }, (_, i) => `m${i}`);
        for (const name of names) a.state.forward([b.state.node], Buffer.from(name));
        a.state.forward([b.state.node, c.state.node], Buffer.from('last'));
        await b.heard.until(() => b.heard.forwarded.length === 501);
        await c.heard.until(() => c.heard.forwarded.length === 1);
        expect(b.heard.forwarded).toEqual([...names, 'last']);
        expect(a.state.counters()).toMatchObject({ forwarded: 502, forwardDropped: 0 });
        expect(b.state.counters().forwardReceived).toBe(501);
      });

      it('forward - drops and counts what waits beyond the bound (I8)', async () => {
        await start({ forwardBytesMax: 1000 });
        for (let i = 0; i < 10; i++) a.state.forward([b.state.node], Buffer.alloc(400));
        expect(a.state.counters()).toMatchObject({ forwarded: 2, forwardDropped: 8 });
        await b.heard.until(() => b.heard.forwarded.length === 2);
      });
    });

    it('retained - is the same on all nodes after they changed it together', async () => {
      const values = Array.from({ length: 40 }, (_, i) => `v${i}`);
      await Promise.all(
        values.map((value, i) => (i % 2 ? a : b).state.retain('t', i % 10 === 9 ? undefined : Buffer.from(value))),
      );
      await a.state.retain('end', Buffer.from('a'));
      await b.heard.until(() => b.heard.retained.has('end'));
      expect(b.heard.retained).toEqual(a.heard.retained);
    });
  });
}

function texts(wills: readonly ({ readonly message: Uint8Array } | undefined)[]): string[] {
  return wills.map((taken) => `${taken && Buffer.from(taken.message)}`);
}
