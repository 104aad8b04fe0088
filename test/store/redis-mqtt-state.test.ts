import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, openLink } from '../../src/store/redis/connection.ts';
import { Clients } from '../../src/store/redis/mqtt-clients.ts';
import { MqttKeys } from '../../src/store/redis/mqtt-keys.ts';
import type { ConnectionRef, MqttState } from '../../src/store/store.ts';
import { deploymentUnderTest, type MqttDeployment, type NodeUnderTest } from '../support/mqtt-deployment.ts';
import { type RedisMqttStore, redisMqttStore } from '../support/redis-mqtt-store.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

const goodbye = { sendWill: false, expirySeconds: 60, sentUpTo: undefined };
const brokenOff = { ...goodbye, sendWill: true };
const will = (text: string, delaySeconds = 0) => ({ message: Buffer.from(text), delaySeconds });

describe('mqtt state on redis', () => {
  let redis: RedisServer;
  let direct: Connection;
  let clock: VirtualClock;
  let store: RedisMqttStore;
  let deployment: MqttDeployment;
  let a: NodeUnderTest;
  let b: NodeUnderTest;

  beforeAll(async () => {
    redis = await RedisServer.start({ appendfsync: 'always' });
    direct = await openLink(redis.url);
  });
  afterAll(async () => {
    await direct.close();
    await redis.remove();
  });

  async function deploy(): Promise<{ store: RedisMqttStore; deployment: MqttDeployment }> {
    const open = redisMqttStore(() => redis.url);
    let opened: RedisMqttStore | undefined;
    const deployment = await deploymentUnderTest(
      async (...args) => {
        opened = await open(...args);
        return opened;
      },
      clock,
      { takeoverMs: 1000 },
    );
    return { store: opened!, deployment };
  }

  beforeEach(async () => {
    clock = virtualClock();
    ({ store, deployment } = await deploy());
    a = await deployment.join();
    b = await deployment.join();
    await deployment.pass(6000);
  });
  afterEach(() => deployment.remove());

  let connections = 0;
  type Options = Partial<Parameters<MqttState['connect']>[0]>;
  async function connect({ state }: NodeUnderTest, clientId: string, options: Options = {}) {
    const at: ConnectionRef = { clientId, connection: `c${++connections}` };
    const request = { ...at, cleanStart: false, expirySeconds: 60, newSessionId: `s${connections}`, will: undefined };
    return { at, grant: await state.connect({ ...request, ...options }) };
  }
  const held = ({ state }: NodeUnderTest, at: ConnectionRef) => state.subscribe(at, { added: {}, removed: [] });
  const message = (sessionId: string) => [{ sessionId, message: Buffer.from('m') }];

  it('mqtt state on redis - what was announced while a node could not hear comes again', async () => {
    const moved = await connect(a, 'moved');
    const stays = await connect(a, 'stays');
    await b.state.retain('removed', Buffer.from('x'));
    await a.heard.until(() => a.heard.retained.has('removed'));
    await direct.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await Promise.all([
      b.state.retain('removed', undefined),
      b.state.retain('kept', Buffer.from('y')),
      b.state.enqueue(message(stays.grant.sessionId)),
      connect(b, 'moved'),
      connect(b, 'new').then(({ at }) => b.state.subscribe(at, { added: { t: 1 }, removed: [] })),
    ]);
    await a.heard.until(() => a.heard.currents === 2 && a.heard.replaced.length > 0);
    expect(a.state.counters().resets).toBe(1);
    expect([...a.heard.retained]).toEqual([['kept', 'y']]);
    expect(a.heard.replaced[0]).toEqual(expect.objectContaining(moved.at));
    await a.heard.until(() => a.heard.queued.includes(stays.grant.sessionId));
    await a.heard.until(() => a.heard.interests.has(`${b.state.node} t`));
    expect([...a.heard.sessions.values()].map(({ clientId }) => clientId).sort()).toEqual(['moved', 'new', 'stays']);
    expect(await held(a, stays.at)).toBe('held');
  });

  it('mqtt state on redis - a gap in the announcements is noticed', async () => {
    await direct.command('INCR', `${store.prefix}{mqtt}:announced`); // one that nobody heard
    await connect(b, 'x');
    await a.heard.until(() => a.heard.currents === 2);
    expect(a.heard.sessions.size).toBe(1);
    await direct.command('INCR', `${store.prefix}{mqtt:retained}:announced`);
    await b.state.retain('t', Buffer.from('x'));
    await a.heard.until(() => a.heard.currents === 3);
    expect(a.heard.retained.get('t')).toBe('x');
  });

  it('mqtt state on redis - deployments with different prefixes hear nothing of each other', async () => {
    const other = await deploy();
    const c = await other.deployment.join();
    await connect(a, 'x');
    await a.state.retain('t', Buffer.from('x'));
    const { at, grant } = await connect(c, 'x');
    expect(grant.present).toBe(false);
    expect(await c.state.subscribe(at, { added: { t: 1 }, removed: [] })).toBe('held');
    a.state.forward([c.state.node], Buffer.from('not for you'));
    await a.state.retain('end', Buffer.from('x'));
    await c.state.retain('end', Buffer.from('x'));
    expect([...c.heard.retained.keys()]).toEqual(['end']);
    expect(c.heard.forwarded).toEqual([]);
    expect(a.heard.replaced).toEqual([]);
    expect(a.heard.interests.size).toBe(0);
    expect([a, b, c].map(({ state }) => state.counters().nodes)).toEqual([1, 1, 0]);
    await other.deployment.remove();
  });

  it('mqtt state on redis - a departure without an answer is made up for, and its will sent once', async () => {
    const x = await connect(a, 'x', { will: will('of x') });
    const y = await connect(a, 'y', { will: will('of y') });
    const link = store.linkOf(a.state);
    link.losesAnswersTo.add('mqtt-disconnect');
    await expect(a.state.disconnect(x.at, brokenOff)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(a.state.disconnect(y.at, goodbye)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    link.losesAnswersTo.clear();
    expect(texts(await deployment.pass(20_000))).toEqual(['of x']);
    await deployment.pass(61_000);
    expect(a.state.counters().sessions).toBe(0);
  });

  it.each(['mqtt-connect', 'mqtt-attach'])(
    'mqtt state on redis - a connect without an answer to %s leaves nobody connected, and the will before it is sent once',
    async (script) => {
      const first = await connect(b, 'x', { will: will('before') });
      const link = store.linkOf(a.state);
      link.losesAnswersTo.add(script);
      const failed = connect(a, 'x', { will: will('never accepted') });
      await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      link.losesAnswersTo.clear();
      expect(await held(b, first.at)).toBe('lost');
      expect(texts(await deployment.pass(20_000))).toEqual(['before']);
      await deployment.pass(61_000);
      expect(a.heard.ended).toEqual([first.grant.sessionId]);
    },
  );

  it('mqtt state on redis - nothing overtakes a message whose fate is not known', async () => {
    const { grant } = await connect(a, 'x');
    const link = store.linkOf(a.state);
    link.losesAnswersTo.add('mqtt-enqueue');
    const first = a.state.enqueue(message(grant.sessionId));
    await Promise.resolve().then(() => undefined);
    const more = [1, 2, 3].map(() => a.state.enqueue(message(grant.sessionId)));
    const results = await Promise.allSettled([first, ...more]);
    expect(results.map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    link.losesAnswersTo.clear();
    expect((await a.state.queued(grant.sessionId, 0, 10, 1000)).messages).toHaveLength(1);
    expect(await a.state.enqueue(message(grant.sessionId))).toBe(0);
  });

  it('mqtt state on redis - what a sweep saw a moment ago is looked at again before it is acted on', async () => {
    const { at } = await connect(a, 'x', { will: will('of x') });
    const keys = new MqttKeys(store.prefix);
    const clients = new Clients({ link: store.linkOf(b.state), keys, node: b.state.node, sessionsMax: 10 });
    expect(await clients.lapse('x', a.state.node)).toEqual({ will: [], ended: '' }); // it was dead, and has joined again
    expect(await clients.lapse('x', '')).toEqual({ will: [], ended: '' }); // it was away, and is back
    expect(await held(a, at)).toBe('held');
    expect(texts([(await a.state.disconnect(at, brokenOff))!])).toEqual(['of x']);
    expect(await clients.lapse('x', '')).toEqual({ will: [], ended: '' }); // it is not expired yet
    expect((await connect(b, 'x')).grant.present).toBe(true);
    expect(await clients.lapse('nobody', a.state.node)).toEqual({ will: [], ended: '' });
  });

  it('mqtt state on redis - a sweep without an answer loses no will', async () => {
    const { at } = await connect(a, 'x', { will: will('late', 5) });
    await a.state.disconnect(at, brokenOff);
    const links = [a, b].map(({ state }) => store.linkOf(state));
    for (const link of links) link.losesAnswersTo.add('mqtt-lapse');
    clock.advance(6000);
    await expect(a.state.sweep()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (const link of links) link.losesAnswersTo.clear();
    expect(texts(await deployment.pass(10_000))).toEqual(['late']);
  });

  it('mqtt state on redis - survives Redis: nobody is declared dead, everything goes on', async () => {
    const x = await connect(a, 'x', { will: will('of x') });
    const y = await connect(b, 'y', { will: will('of y') });
    await a.state.subscribe(x.at, { added: { t: 1 }, removed: [] });
    await redis.kill();
    await expect(b.state.disconnect(y.at, brokenOff)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(connect(a, 'z')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    clock.advance(60_000);
    await redis.start();
    await Promise.all([a, b].map(({ heard }) => heard.until(() => heard.currents === 2)));
    expect(texts(await deployment.pass(10_000))).toEqual(['of y']);
    expect(await held(a, x.at)).toBe('held');
    expect(b.heard.interests).toEqual(new Set([`${a.state.node} t`]));
    expect([...a.heard.gone, ...b.heard.gone]).toEqual([]);
    expect((await connect(b, 'z')).grant.present).toBe(false);
  });

  it('mqtt state on redis - leaves nothing of clients that are gone, but marks that expire', async () => {
    for (const expirySeconds of [0, 60]) {
      for (const clientId of ['x', 'y', 'z']) {
        const { at, grant } = await connect(a, clientId, { expirySeconds, will: will('w') });
        await a.state.subscribe(at, { added: { t: 1 }, removed: [] });
        await a.state.enqueue(message(grant.sessionId));
        await a.state.markReceived(grant.sessionId, 1);
        const taken = await a.state.disconnect(at, { ...brokenOff, expirySeconds });
        await a.state.willSent(taken!);
      }
    }
    await a.state.retain('r', Buffer.from('x'));
    await a.state.retain('r', undefined);
    await deployment.pass(62_000);
    const left: string[] = [];
    for (const key of (await direct.command('KEYS', `${store.prefix}*`)) as Buffer[]) {
      if ((await direct.command('PTTL', key)) === -1) left.push(`${key}`.slice(store.prefix.length));
    }
    const expected = ['{mqtt}:announced', '{mqtt}:nodes', '{mqtt}:steady'];
    expect(left.sort()).toEqual(['{mqtt:retained}:announced', '{mqtt:retained}:bytes', ...expected].sort());
    expect(await direct.command('GET', `${store.prefix}{mqtt:retained}:bytes`)).toEqual(Buffer.from('0'));
  });
});

function texts(wills: readonly { readonly message: Uint8Array }[]): string[] {
  return wills.map((taken) => `${Buffer.from(taken.message)}`);
}
