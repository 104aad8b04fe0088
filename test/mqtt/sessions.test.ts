import { afterEach, describe, expect, it } from 'vitest';
import { PubSubError } from '../../src/domain/errors.ts';
import { Disk } from './support/disk.ts';
import {
  accepted,
  ack,
  connect,
  disconnect,
  packet,
  pingreq,
  publish,
  resumed,
  subscribe,
  text,
  u16,
} from './support/packets.ts';
import type { RawClient } from './support/raw-client.ts';
import { TestServer, type TestServerOptions } from './support/test-server.ts';

const expiry = (seconds: number) => `11${seconds.toString(16).padStart(8, '0')}`;
const unavailable = () => Promise.reject(new PubSubError('UNAVAILABLE', 'The disk is full.'));

describe('mqtt sessions', () => {
  const servers: TestServer[] = [];
  const disks: Disk[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
    for (const disk of disks.splice(0)) await disk.remove();
  });

  async function openDisk(clock?: () => number): Promise<Disk> {
    const disk = await Disk.open(clock);
    disks.push(disk);
    return disk;
  }

  async function start(options: TestServerOptions = {}): Promise<TestServer> {
    const server = await TestServer.start(options);
    servers.push(server);
    return server;
  }

  /** Connects, and says whether a session was present. */
  async function isPresent(server: TestServer, ...[clientId, fields]: Parameters<typeof connect>): Promise<boolean> {
    const client = await server.raw();
    client.send(connect(clientId, fields));
    const connack = (await client.next())!;
    expect(connack[3]).toBe(0);
    return connack[2] === 1;
  }

  async function leave(client: RawClient, bytes: Buffer | string = disconnect): Promise<void> {
    client.send(bytes);
    await client.closed;
  }

  it.each([
    ['3.1.1 clean, then kept', { clean: true }, { clean: false }, false],
    ['3.1.1 kept, then kept', { clean: false }, { clean: false }, true],
    ['3.1.1 kept, then clean', { clean: false }, { clean: true }, false],
    ['5 with an expiry, then resumed', { version: 5, properties: expiry(60) }, { version: 5, clean: false }, true],
    ['5 without an expiry, then resumed', { version: 5 }, { version: 5, clean: false }, false],
    ['5 with an expiry, then Clean Start', { version: 5, properties: expiry(60) }, { version: 5 }, false],
    ['3.1.1 kept, then 5 resumed', { clean: false }, { version: 5, clean: false }, true],
  ] as const)('session present says whether there was one: %s', async (_name, first, second, present) => {
    const server = await start();
    await leave(await server.rawConnected('a', first));
    expect(await isPresent(server, 'a', second)).toBe(present);
  });

  it('I10 - a session and its subscriptions outlive a killed server', async () => {
    const disk = await openDisk();
    const before = await start({ disk });
    const client = await before.rawConnected('a', { clean: false });
    client.send(subscribe(1, { 'cmd/#': 1, state: 0, 'old/+': 2 }), packet(0xa2, u16(2), text('old/+')));
    expect(await client.take(2)).toEqual(['90050001010002', 'b0020002']);
    await disk.kill();
    const after = await start({ disk });
    const again = await after.raw();
    again.send(connect('a', { clean: false }));
    expect(await again.take(1)).toEqual([resumed]);
    const other = await after.rawConnected('b');
    other.send(publish('cmd/1', { qos: 1 }), publish('old/1', { qos: 1, id: 2 }), publish('state', { qos: 1, id: 3 }));
    const delivered = await again.take(2);
    expect(delivered.map((hex) => hex.slice(0, 2)).sort()).toEqual(['30', '32']);
    expect(delivered.join()).toContain(text('cmd/1').toString('hex'));
  });

  it('I10 - a killed server keeps the options of MQTT 5 subscriptions', async () => {
    const disk = await openDisk();
    const before = await start({ disk });
    const fields = { version: 5, clean: false, properties: expiry(60) } as const;
    const client = await before.rawConnected('a', fields);
    client.send(subscribe(1, { 'x/#': 0x0d }, '0b 07')); // QoS 1, No Local, Retain As Published; identifier 7
    await client.take(1);
    await disk.kill();
    const after = await start({ disk });
    const again = await after.rawConnected('a', fields);
    again.send(publish('x/own', { qos: 1, properties: '' }));
    expect(await again.take(1)).toEqual([ack(0x40, 1)]);
    const other = await after.rawConnected('b', { version: 5 });
    other.send(publish('x/1', { qos: 1, retain: true, properties: '' }));
    const [delivered] = await again.take(1);
    expect(delivered).toMatch(/^330b0003782f31....020b0778$/);
  });

  it('CONNACK, SUBACK and UNSUBACK wait until the session is durable', async () => {
    const disk = await openDisk();
    const server = await start({ disk });
    const witness = await server.rawConnected('witness');
    const waiting: (() => void)[] = [];
    disk.beforeWrite = () => new Promise<void>((resolve) => waiting.push(resolve));
    const client = await server.raw();
    const steps = [connect('a', { clean: false }), subscribe(1, { x: 1 }), packet(0xa2, u16(2), text('x'))];
    const answers = [accepted, '9003000101', 'b0020002'];
    for (const [index, step] of steps.entries()) {
      client.send(step);
      for (let rounds = 0; waiting.length === 0 || rounds < 10; rounds++) {
        witness.send(pingreq);
        await witness.take(1);
      }
      expect(client.arrived).toBe(0);
      for (const write of waiting.splice(0)) write();
      expect(await client.take(1)).toEqual([answers[index]]);
    }
  });

  it('a session that cannot be written is refused, and is not there afterwards', async () => {
    const disk = await openDisk();
    const server = await start({ disk });
    disk.beforeWrite = unavailable;
    const three = await server.raw();
    three.send(connect('a', { clean: false }));
    expect((await three.rest()).map((connack) => connack.toString('hex'))).toEqual(['20020003']);
    const five = await server.raw();
    five.send(connect('a', { version: 5, properties: expiry(60) }));
    expect((await five.rest()).map((connack) => connack[3])).toEqual([0x88]);
    disk.beforeWrite = async () => {};
    expect(await isPresent(server, 'a', { clean: false })).toBe(false);
  });

  it('a subscription that cannot be written is not acknowledged', async () => {
    const disk = await openDisk();
    const server = await start({ disk });
    const client = await server.rawConnected('a', { clean: false });
    disk.beforeWrite = unavailable;
    client.send(subscribe(1, { x: 1 }));
    expect(await client.rest()).toEqual([]);
    disk.beforeWrite = async () => {};
    const five = await server.rawConnected('b', { version: 5, properties: expiry(60) });
    disk.beforeWrite = unavailable;
    five.send(subscribe(1, { x: 1 }, ''));
    const [last, ...more] = await five.rest();
    expect([last![0], last![2], more]).toEqual([0xe0, 0x80, []]);
  });

  it('ends when its time is over, also when the server was down meanwhile', async () => {
    let nowMs = 1_000_000;
    const disk = await openDisk(() => nowMs);
    const server = await start({ disk, clock: () => nowMs });
    const fields = { version: 5, clean: false, properties: expiry(60) } as const;
    await leave(await server.rawConnected('a', fields));
    nowMs += 59_000;
    expect(await isPresent(server, 'a', fields)).toBe(true);
    await leave(await server.rawConnected('a', fields));
    await server.stop();
    nowMs += 60_000;
    await disk.kill();
    const later = await start({ disk, clock: () => nowMs });
    expect(later.server.counters().sessions).toBe(0);
    expect(await isPresent(later, 'a', fields)).toBe(false);
  });

  it('counts from the restart when nobody knows when its connection ended', async () => {
    let nowMs = 1_000_000;
    const disk = await openDisk(() => nowMs);
    const server = await start({ disk, clock: () => nowMs });
    const fields = { version: 5, clean: false, properties: expiry(60) } as const;
    await server.rawConnected('a', fields);
    nowMs += 3_600_000; // connected all the time, then killed
    await disk.kill();
    const later = await start({ disk, clock: () => nowMs });
    nowMs += 59_000;
    expect(await isPresent(later, 'a', fields)).toBe(true);
  });

  it('is given the longest expiry there is when it asks for more, and is told so', async () => {
    const server = await start({ limits: { sessionExpirySecondsMax: 100 } });
    const client = await server.raw();
    client.send(connect('a', { version: 5, properties: '11 ffffffff' }));
    const [connack] = await client.take(1);
    expect(connack).toContain('1100000064');
  });

  it('a DISCONNECT may end it at once, or change how long it stays', async () => {
    let nowMs = 1_000_000;
    const disk = await openDisk(() => nowMs);
    const server = await start({ disk, clock: () => nowMs });
    const fields = { version: 5, clean: false, properties: expiry(60) } as const;
    await leave(await server.rawConnected('a', fields), `e0 07 00 05 ${expiry(0)}`);
    expect(await isPresent(server, 'a', fields)).toBe(false);
    await leave(await server.rawConnected('b', fields), `e0 07 00 05 ${expiry(600)}`);
    nowMs += 599_000;
    expect(await isPresent(server, 'b', fields)).toBe(true);
  });

  it('what Clean Start 0 resumes without an expiry is delivered, and ends with the connection', async () => {
    const disk = await openDisk();
    const server = await start({ disk });
    const client = await server.rawConnected('a', { version: 5, properties: expiry(60) });
    client.send(subscribe(1, { 'q/#': 1 }, ''));
    await client.take(1);
    await leave(client);
    const other = await server.rawConnected('b');
    other.send(publish('q/1', { qos: 1, payload: 'waited' }));
    await other.take(1);
    const again = await server.raw();
    again.send(connect('a', { version: 5, clean: false }));
    const [connack, delivered] = await again.take(2);
    expect(connack!.slice(4, 8)).toBe('0100');
    expect(delivered).toContain(Buffer.from('waited').toString('hex'));
    await leave(again);
    expect(await isPresent(server, 'a', { version: 5, clean: false })).toBe(false);
    expect(server.server.counters().sessions).toBe(0);
  });

  it('I8 - one session more than there may be is refused; one that has expired makes room', async () => {
    let nowMs = 1_000_000;
    const server = await start({ limits: { sessionsMax: 2 }, clock: () => nowMs });
    const fields = { version: 5, properties: expiry(60) } as const;
    await leave(await server.rawConnected('a', fields));
    await server.rawConnected('b', fields);
    const client = await server.raw();
    client.send(connect('c', fields));
    expect((await client.rest()).map((connack) => connack[3])).toEqual([0x97]);
    expect(await isPresent(server, 'b', { ...fields, clean: false })).toBe(true);
    nowMs += 61_000;
    expect(await isPresent(server, 'c', fields)).toBe(false);
    expect(server.server.counters().closed.session_limit).toBe(1);
  });

  it('a second connection takes the session over: the first is told, everything of it is finished', async () => {
    const server = await start();
    const fields = { version: 5, clean: false, properties: expiry(60) } as const;
    const first = await server.rawConnected('a', fields);
    first.send(subscribe(1, { x: 0 }, ''));
    await first.take(1);
    const second = await server.raw();
    second.send(connect('a', fields));
    const [last] = await first.rest();
    expect([last![0], last![2]]).toEqual([0xe0, 0x8e]);
    expect((await second.next())!.toString('hex', 2, 4)).toBe('0100');
    second.send(publish('x', { properties: '' }));
    expect(await second.take(1)).toEqual(['300500017800' + '78']);
    expect(server.server.counters().closed.taken_over).toBe(1);
  });

  it('many connections of one client at once leave one of them', async () => {
    const server = await start();
    const clients = await Promise.all(Array.from({ length: 20 }, () => server.raw()));
    for (const client of clients) client.send(connect('a', { clean: false }));
    const answers = await Promise.all(clients.map((client) => client.next()));
    expect(answers.map((answer) => answer?.toString('hex')).filter((hex) => hex?.startsWith('2002')).length).toBe(20);
    const witness = await server.rawConnected('witness');
    while (server.server.counters().connections > 2) {
      witness.send(pingreq);
      await witness.take(1);
    }
    expect(server.server.counters().closed.taken_over).toBe(19);
  });

  it('I8 - messages for an offline session are bounded; the newest are dropped and counted', async () => {
    const server = await start({ limits: { sessionQueueMessagesMax: 3 } });
    const client = await server.rawConnected('a', { clean: false });
    client.send(subscribe(1, { q: 1 }));
    await client.take(1);
    await leave(client);
    const other = await server.rawConnected('b');
    for (let id = 1; id <= 5; id++) other.send(publish('q', { qos: 1, id, payload: String(id) }));
    await other.take(5);
    expect(server.server.counters().dropped.session_queue_full).toBe(2);
    const again = await server.rawConnected('a', { clean: false });
    const delivered = await again.take(3);
    expect(delivered.map((hex) => Buffer.from(hex.slice(-2), 'hex').toString())).toEqual(['1', '2', '3']);
    for (const hex of delivered) again.send(Buffer.from(`4002${hex.slice(10, 14)}`, 'hex'));
    again.send(disconnect);
    await again.closed;
    for (let id = 1; id <= 3; id++) other.send(publish('q', { qos: 1, id, payload: String(id) }));
    await other.take(3);
    expect(server.server.counters().dropped.session_queue_full).toBe(2);
  });
});
