import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MqttState, MqttStateLimits } from '../../src/store/store.ts';
import { deploymentUnderTest, type MqttDeployment, type OpenMqttDeployment } from '../support/mqtt-deployment.ts';
import type { Listener } from '../support/mqtt-listener.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

const goodbye = { sendWill: false, expirySeconds: 60, sentUpTo: undefined };
const brokenOff = { ...goodbye, sendWill: true };
const will = (text: string, delaySeconds = 0) => ({ message: Buffer.from(text), delaySeconds });

/** What one node promises; every adapter passes these. */
export function mqttStateContract(adapter: string, open: OpenMqttDeployment): void {
  describe(`${adapter} keeps the MQTT state contract`, () => {
    let clock: VirtualClock;
    let deployment: MqttDeployment;
    let state: MqttState;
    let heard: Listener;

    beforeEach(async () => {
      clock = virtualClock();
      await start();
    });
    afterEach(() => deployment.remove());

    async function start(limits: Partial<MqttStateLimits> = {}): Promise<void> {
      await deployment?.remove();
      deployment = await deploymentUnderTest(open, clock, limits);
      ({ state, heard } = await deployment.join());
    }

    let connections = 0;
    const ref = (clientId: string) => ({ clientId, connection: `c${++connections}` });

    async function connect(clientId: string, options: Partial<Parameters<MqttState['connect']>[0]> = {}) {
      const at = ref(clientId);
      const newSessionId = `s-${at.connection}`;
      const request = { ...at, cleanStart: false, expirySeconds: 60, newSessionId, will: undefined, ...options };
      return { at, grant: await state.connect(request) };
    }

    const enqueue = (sessionId: string, ...texts: string[]) =>
      state.enqueue(texts.map((text) => ({ sessionId, message: Buffer.from(text) })));

    async function queued(sessionId: string): Promise<string[]> {
      const { messages } = await state.queued(sessionId, 0, 1000, 1_048_576);
      return messages.map(({ id, message, received }) => `${id}${received ? '*' : ''}:${Buffer.from(message)}`);
    }

    const willsOf = async () => texts(await deployment.sweepAll());

    describe('session', () => {
      it('session - begins once, and is resumed with its subscriptions', async () => {
        const first = await connect('a');
        expect(first.grant).toEqual({
          sessionId: `s-${first.at.connection}`,
          present: false,
          subscriptions: {},
          previous: undefined,
          sentUpTo: 0,
          earlierWill: undefined,
        });
        expect(await state.subscribe(first.at, { added: { 'x/#': { qos: 1 }, y: [] }, removed: [] })).toBe('held');
        expect(await state.subscribe(first.at, { added: { z: 2 }, removed: ['y'] })).toBe('held');
        await state.disconnect(first.at, { ...goodbye, sentUpTo: 7 });
        const { grant } = await connect('a');
        expect(grant).toEqual({
          sessionId: first.grant.sessionId,
          present: true,
          subscriptions: { 'x/#': { qos: 1 }, z: 2 },
          previous: first.at.connection,
          sentUpTo: 7,
          earlierWill: undefined,
        });
      });

      it('session - is told with every change, and when it ends', async () => {
        const { at, grant } = await connect('a');
        const { sessionId } = grant;
        await state.subscribe(at, { added: { x: 1, __proto__x: 2 }, removed: [] });
        expect(heard.sessions.get(sessionId)).toEqual({
          clientId: 'a',
          sessionId,
          subscriptions: { x: 1, __proto__x: 2 },
        });
        await state.disconnect(at, { ...goodbye, expirySeconds: 0 });
        await heard.until(() => !heard.sessions.has(sessionId));
      });

      it('session - is not kept with expiry 0, and ends with its connection', async () => {
        const { at, grant } = await connect('a', { expirySeconds: 0 });
        expect(await state.subscribe(at, { added: { x: 1 }, removed: [] })).toBe('held');
        await state.disconnect(at, { ...goodbye, expirySeconds: 0 });
        expect(heard.sessions.has(grant.sessionId)).toBe(false);
        expect((await connect('a')).grant).toMatchObject({ present: false, subscriptions: {} });
      });

      it('session - that is resumed with expiry 0 stays what it is until its connection is over', async () => {
        const first = await connect('a');
        await state.disconnect(first.at, goodbye);
        const second = await connect('a', { expirySeconds: 0 });
        expect(second.grant.present).toBe(true);
        expect(await enqueue(second.grant.sessionId, 'm')).toBe(0);
        await state.disconnect(second.at, { ...goodbye, expirySeconds: 0 });
        expect((await connect('a')).grant.present).toBe(false);
      });

      it('session - ends with a clean start', async () => {
        const first = await connect('a');
        await state.disconnect(first.at, goodbye);
        const second = await connect('a', { cleanStart: true });
        expect(second.grant).toMatchObject({ present: false, previous: undefined, sentUpTo: 0 });
        expect(await enqueue(first.grant.sessionId, 'm')).toBe(1);
        await heard.until(() => heard.ended.includes(first.grant.sessionId));
      });

      it('session - expires when its time is over, swept or not', async () => {
        const { at, grant } = await connect('a');
        const swept = await connect('b');
        await state.disconnect(at, goodbye);
        await state.disconnect(swept.at, goodbye);
        await deployment.pass(59_000);
        expect(heard.ended).toEqual([]);
        clock.advance(1000);
        expect((await connect('a')).grant.present).toBe(false);
        await deployment.sweepAll();
        await heard.until(() => heard.ended.length === 2);
        expect(heard.ended.sort()).toEqual([grant.sessionId, swept.grant.sessionId].sort());
        expect(await enqueue(swept.grant.sessionId, 'm')).toBe(1);
      });

      it('session - lives as long as its last departure said, and does not expire while connected', async () => {
        const { at } = await connect('a', { expirySeconds: 10 });
        await deployment.pass(20_000);
        await state.disconnect(at, { ...goodbye, expirySeconds: 100 });
        await deployment.pass(90_000);
        expect((await connect('a')).grant.present).toBe(true);
      });

      it('session - that was resumed has its whole time again', async () => {
        const first = await connect('a', { will: will('of a', 50) });
        await state.disconnect(first.at, brokenOff);
        await deployment.pass(40_000);
        const second = await connect('a', { will: will('of a again', 50) });
        await state.disconnect(second.at, brokenOff);
        expect(texts(await deployment.pass(40_000))).toEqual([]);
        expect((await connect('a')).grant.present).toBe(true);
      });

      it('session - of too many is refused, and nothing is changed', async () => {
        await start({ sessionsMax: 2 });
        const { at } = await connect('a', { expirySeconds: 0 });
        await connect('b');
        await connect('c');
        const error = { code: 'RESOURCE_EXHAUSTED' };
        await expect(connect('a')).rejects.toMatchObject(error);
        expect(await state.subscribe(at, { added: {}, removed: [] })).toBe('held');
        await expect(connect('d')).rejects.toMatchObject(error);
        await connect('d', { expirySeconds: 0 });
        await connect('b', { cleanStart: true });
        await deployment.sweepAll();
        expect(state.counters().sessions).toBe(2);
      });
    });

    describe('client', () => {
      it('client - has one connection: a newer one ends the older before it is granted', async () => {
        const first = await connect('a');
        let isOver = false;
        heard.onReplaced = async (connection) => {
          expect(connection).toEqual(expect.objectContaining(first.at));
          await new Promise(setImmediate);
          isOver = true;
        };
        const second = await connect('a');
        expect(isOver).toBe(true);
        expect(second.grant).toMatchObject({ present: true, previous: first.at.connection, sentUpTo: undefined });
        expect(await state.subscribe(first.at, { added: { x: 1 }, removed: [] })).toBe('lost');
        expect(await state.disconnect(first.at, { ...brokenOff, expirySeconds: 0 })).toBeUndefined();
        expect(await state.subscribe(second.at, { added: { y: 1 }, removed: [] })).toBe('held');
        expect(heard.sessions.get(second.grant.sessionId)!.subscriptions).toEqual({ y: 1 });
      });

      it('client - waits no longer than the bound for its earlier connection', async () => {
        await start({ takeoverMs: 50 });
        await connect('a');
        heard.onReplaced = () => new Promise(() => {});
        expect((await connect('a')).grant.present).toBe(true);
      });
    });

    describe('will', () => {
      it('will - is handed out when the connection breaks off, and never after a goodbye', async () => {
        const a = await connect('a', { will: will('of a') });
        const taken = await state.disconnect(a.at, brokenOff);
        expect(taken).toMatchObject({ clientId: 'a' });
        expect(`${taken!.message}`).toBe('of a');
        await state.willSent(taken!);
        const b = await connect('b', { will: will('of b') });
        expect(await state.disconnect(b.at, goodbye)).toBeUndefined();
        await deployment.pass(120_000);
        expect(await willsOf()).toEqual([]);
      });

      it('will - with an empty message is one all the same', async () => {
        const { at } = await connect('a', { will: will('') });
        expect((await state.disconnect(at, brokenOff))!.message).toHaveLength(0);
      });

      it('will - with a delay waits for it (MQTT-3.1.3-9)', async () => {
        const { at } = await connect('a', { will: will('late', 30) });
        expect(await state.disconnect(at, brokenOff)).toBeUndefined();
        expect(texts(await deployment.pass(29_000))).toEqual([]);
        expect(texts(await deployment.pass(1000))).toEqual(['late']);
        expect(texts(await deployment.pass(120_000))).toEqual([]);
      });

      it('will - with a delay is sent when the session ends before', async () => {
        const { at } = await connect('a', { will: will('late', 300) });
        expect(await state.disconnect(at, brokenOff)).toBeUndefined();
        expect(texts(await deployment.pass(61_000))).toEqual(['late']);
        const b = await connect('b', { expirySeconds: 0, will: will('at once', 300) });
        expect(texts([await state.disconnect(b.at, { ...brokenOff, expirySeconds: 0 })])).toEqual(['at once']);
      });

      it('will - with a delay is dropped when the session is resumed before, and sent by a clean start', async () => {
        const a = await connect('a', { will: will('dropped', 30) });
        await state.disconnect(a.at, brokenOff);
        const resumed = await connect('a');
        expect(resumed.grant.earlierWill).toBeUndefined();
        expect(await state.disconnect(resumed.at, brokenOff)).toBeUndefined();
        const b = await connect('b', { will: will('sent', 30) });
        await state.disconnect(b.at, brokenOff);
        expect(texts([(await connect('b', { cleanStart: true })).grant.earlierWill])).toEqual(['sent']);
        expect(texts(await deployment.pass(60_000))).toEqual([]);
      });

      it('will - whose delay has passed is sent although the client comes back before the sweep', async () => {
        const a = await connect('a', { will: will('due', 5) });
        await state.disconnect(a.at, brokenOff);
        clock.advance(6000);
        const { grant } = await connect('a');
        expect(texts([grant.earlierWill])).toEqual(['due']);
        expect(grant.present).toBe(true);
      });

      it('will - of a connection that is replaced is sent, unless it has a delay and the session goes on', async () => {
        await connect('a', { will: will('at once') });
        const second = await connect('a', { will: will('delayed', 30) });
        expect(texts([second.grant.earlierWill])).toEqual(['at once']);
        const third = await connect('a', { will: will('delayed again', 30) });
        expect(third.grant.earlierWill).toBeUndefined();
        const { grant } = await connect('a', { cleanStart: true });
        expect(texts([grant.earlierWill])).toEqual(['delayed again']);
      });

      it('will - that was handed out and not sent is handed out again after a crash, and only then', async () => {
        const { at } = await connect('a', { will: will('once more') });
        expect(texts([await state.disconnect(at, brokenOff)])).toEqual(['once more']);
        expect(texts(await deployment.pass(20_000))).toEqual([]);
        await deployment.crash(state);
        ({ state, heard } = await deployment.join());
        const wills = await deployment.passUntil(20_000, (found) => found.length > 0);
        expect(texts(wills)).toEqual(['once more']);
        await state.willSent(wills[0]!);
        await deployment.crash(state);
        ({ state, heard } = await deployment.join());
        expect(texts(await deployment.pass(20_000))).toEqual([]);
      });
    });

    describe('queue', () => {
      it('queue - keeps messages in order and numbers them without a gap, until they are settled', async () => {
        const { sessionId } = (await connect('a')).grant;
        expect(await enqueue(sessionId, 'one', 'two')).toBe(0);
        expect(await enqueue(sessionId, 'three')).toBe(0);
        expect(await queued(sessionId)).toEqual(['1:one', '2:two', '3:three']);
        await state.settle(sessionId, [2, 1, 99]);
        expect(await enqueue(sessionId, 'four')).toBe(0);
        expect(await queued(sessionId)).toEqual(['3:three', '4:four']);
        await state.settle(sessionId, [3, 4]);
        await enqueue(sessionId, 'five');
        expect(await queued(sessionId)).toEqual(['5:five']);
      });

      it('queue - keeps the order of calls that are under way together', async () => {
        const { sessionId } = (await connect('a')).grant;
        const other = (await connect('b')).grant.sessionId;
        const names = Array.from({ length: 300 }, (_, i) => `m${i}`);
        await Promise.all(
          names.map((name) =>
            state.enqueue([sessionId, other].map((to) => ({ sessionId: to, message: Buffer.from(name) }))),
          ),
        );
        for (const id of [sessionId, other]) {
          expect(await queued(id)).toEqual(names.map((name, i) => `${i + 1}:${name}`));
        }
      });

      it('queue - carries bytes as they are', async () => {
        const { sessionId } = (await connect('a')).grant;
        const message = Uint8Array.from({ length: 256 }, (_, i) => i);
        await state.enqueue([{ sessionId, message }]);
        const page = await state.queued(sessionId, 0, 1, 1);
        expect(new Uint8Array(page.messages[0]!.message)).toEqual(message);
      });

      it('queue - remembers what the subscriber has received', async () => {
        const { sessionId } = (await connect('a')).grant;
        await enqueue(sessionId, 'one', 'two');
        await state.markReceived(sessionId, 2);
        await state.markReceived(sessionId, 2);
        expect(await queued(sessionId)).toEqual(['1:one', '2*:two']);
        await state.settle(sessionId, [2]);
        await state.markReceived(sessionId, 2);
        expect(await queued(sessionId)).toEqual(['1:one']);
      });

      it('queue - takes no more messages than its bound, and counts what it refused', async () => {
        await start({ sessionQueueMessagesMax: 3 });
        const { sessionId } = (await connect('a')).grant;
        expect(await enqueue(sessionId, '1', '2', '3', '4', '5')).toBe(2);
        expect(state.counters().queueRefused).toBe(2);
        await state.settle(sessionId, [1]);
        expect(await enqueue(sessionId, '6', '7')).toBe(1);
        expect(await queued(sessionId)).toEqual(['2:2', '3:3', '4:6']);
      });

      it('queue - takes no more bytes than its bound', async () => {
        await start({ sessionQueueBytesMax: 10 });
        const { sessionId } = (await connect('a')).grant;
        expect(await enqueue(sessionId, '123456', '1234567', '1234')).toBe(1);
        await state.settle(sessionId, [1]);
        expect(await enqueue(sessionId, '123456', '1')).toBe(1);
        expect(await queued(sessionId)).toEqual(['2:1234', '3:123456']);
      });

      it('queue - is read in pages that both bounds limit, however long it is', async () => {
        const { sessionId } = (await connect('a')).grant;
        const count = 2500;
        const entries = Array.from({ length: count }, (_, i) => ({ sessionId, message: Buffer.from(`${i + 1}`) }));
        expect(await state.enqueue(entries)).toBe(0);
        const read: number[] = [];
        for (let more = true; more; ) {
          const page = await state.queued(sessionId, read.at(-1) ?? 0, 999, 1_048_576);
          expect(page.messages.length).toBeLessThanOrEqual(999);
          for (const { id, message } of page.messages) {
            expect(`${message}`).toBe(`${id}`);
            read.push(id);
          }
          more = page.more;
        }
        expect(read).toEqual(Array.from({ length: count }, (_, i) => i + 1));
        const small = await state.queued(sessionId, 1000, 10, 9);
        expect(small).toMatchObject({ messages: [{ id: 1001 }, { id: 1002 }], more: true });
        expect((await state.queued(sessionId, 0, 10, 0)).messages).toHaveLength(1);
        expect(await state.queued(sessionId, count, 10, 10)).toEqual({ messages: [], more: false });
      });

      it('queue - there is none for a session that is not kept, or not there', async () => {
        const { sessionId } = (await connect('a', { expirySeconds: 0 })).grant;
        expect(await enqueue(sessionId, 'm')).toBe(1);
        expect(await enqueue('nobody', 'm', 'n')).toBe(2);
        expect(await queued('nobody')).toEqual([]);
        await state.settle('nobody', [1]);
        await state.markReceived('nobody', 1);
      });

      it('queue - ends with its session', async () => {
        const { at, grant } = await connect('a');
        await enqueue(grant.sessionId, 'm');
        await state.disconnect(at, { ...goodbye, expirySeconds: 0 });
        expect(await queued(grant.sessionId)).toEqual([]);
        expect(await enqueue(grant.sessionId, 'n')).toBe(1);
      });

      it('queue - wakes the connected client', async () => {
        const { grant } = await connect('a');
        await enqueue(grant.sessionId, 'm');
        await heard.until(() => heard.queued.includes(grant.sessionId));
      });

      it('queue - grows while the client is away', async () => {
        const { at, grant } = await connect('a');
        await state.disconnect(at, goodbye);
        await enqueue(grant.sessionId, 'm');
        await connect('a');
        expect(await queued(grant.sessionId)).toEqual(['1:m']);
      });
    });

    describe('retained', () => {
      it('retained - the last message of a topic is kept and told; none removes it', async () => {
        expect(await state.retain('t', Buffer.from('one'))).toBe(true);
        expect(await state.retain('t', Buffer.from('two'))).toBe(true);
        expect(heard.retained.get('t')).toBe('two');
        await state.retain('t', undefined);
        expect(heard.retained.has('t')).toBe(false);
        expect(await state.retain('never there', undefined)).toBe(true);
      });

      it('retained - there are no more than the bounds say, and a place that is free again can be had', async () => {
        await start({ retainedMessagesMax: 2, retainedBytesMax: 20 });
        expect(await state.retain('a', Buffer.from('123'))).toBe(true);
        expect(await state.retain('b', Buffer.from('123'))).toBe(true);
        expect(await state.retain('c', Buffer.from('1'))).toBe(false);
        expect(await state.retain('a', Buffer.alloc(15))).toBe(true);
        expect(await state.retain('a', Buffer.alloc(16))).toBe(false);
        await deployment.sweepAll();
        expect(state.counters()).toMatchObject({ retainedMessages: 2, retainedBytes: 20 });
        await state.retain('b', undefined);
        expect(await state.retain('c', Buffer.alloc(3))).toBe(true);
        expect([...heard.retained.keys()].sort()).toEqual(['a', 'c']);
      });
    });

    describe('crash', () => {
      it('crash - sessions, subscriptions, queues and retained messages are there again (I10)', async () => {
        const { at, grant } = await connect('a');
        await state.subscribe(at, { added: { x: 1 }, removed: [] });
        await enqueue(grant.sessionId, 'one', 'two');
        await state.markReceived(grant.sessionId, 1);
        await state.retain('t', Buffer.from('kept'));
        await deployment.crash(state);
        ({ state, heard } = await deployment.join());
        expect(heard.currents).toBe(1);
        expect([...heard.sessions.values()]).toEqual([
          { clientId: 'a', sessionId: grant.sessionId, subscriptions: { x: 1 } },
        ]);
        expect([...heard.retained]).toEqual([['t', 'kept']]);
        const again = await connect('a');
        expect(again.grant).toMatchObject({ present: true, subscriptions: { x: 1 }, sentUpTo: undefined });
        expect(await queued(grant.sessionId)).toEqual(['1*:one', '2:two']);
        await enqueue(grant.sessionId, 'three');
        expect(await queued(grant.sessionId)).toContain('3:three');
      });

      it('crash - clients count as disconnected then: wills are sent, sessions expire, once', async () => {
        await connect('a', { will: will('of a'), expirySeconds: 30 });
        await connect('b', { will: will('of b', 20), expirySeconds: 60 });
        const c = await connect('c', { will: will('of c'), expirySeconds: 0 });
        await deployment.crash(state);
        ({ state, heard } = await deployment.join());
        expect(texts(await deployment.pass(15_000)).sort()).toEqual(['of a', 'of c']);
        expect(texts(await deployment.pass(30_000))).toEqual(['of b']);
        expect((await connect('a')).grant.present).toBe(false);
        expect((await connect('c')).grant).toMatchObject({
          present: false,
          sessionId: expect.not.stringMatching(c.grant.sessionId),
        });
        expect((await connect('b')).grant.present).toBe(true);
        expect(texts(await deployment.pass(60_000))).toEqual([]);
      });

      it('crash - a client that comes back at once finds its session, and its will is not sent late', async () => {
        await connect('a', { will: will('delayed', 20) });
        await deployment.crash(state);
        ({ state, heard } = await deployment.join());
        expect((await connect('a')).grant).toMatchObject({ present: true, earlierWill: undefined });
        expect(texts(await deployment.pass(60_000))).toEqual([]);
      });
    });
  });
}

function texts(wills: readonly ({ readonly message: Uint8Array } | undefined)[]): string[] {
  return wills.map((taken) => `${taken && Buffer.from(taken.message)}`);
}
