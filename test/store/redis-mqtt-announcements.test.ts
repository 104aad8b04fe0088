import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Connection, openLink } from '../../src/store/redis/connection.ts';
import { Announcements } from '../../src/store/redis/mqtt-announcements.ts';
import { packFields } from '../../src/store/redis/mqtt-fields.ts';
import { RedisServer } from '../support/redis-server.ts';

let redis: RedisServer;
let link: Connection;
let announcements: Announcements;
let heard: number[];
let missed: number;
let told: () => void;

beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.remove());

beforeEach(async () => {
  link = await openLink(redis.url);
  [heard, missed, told] = [[], 0, () => {}];
  announcements = new Announcements({
    channels: link,
    channel: 'all',
    lateMs: 0,
    apply: ({ number }) => {
      heard.push(number);
      told();
    },
    missed: () => {
      missed++;
      told();
    },
  });
  expect(await announcements.listen(5000)).toBe(true);
  expect(missed).toBe(1); // whatever was told before
  missed = 0;
});
afterEach(async () => {
  announcements.close();
  await link.close();
});

async function announce(number: number, body: string | Buffer = '', kind = 'begun'): Promise<void> {
  await link.publish('all', packFields(['clients', `${number}`, kind, body]));
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    await new Promise<void>((resolve) => {
      told = resolve;
    });
  }
}

it('mqtt announcements - what came while the state was read is applied after it, and what the state had is not', async () => {
  announcements.hold();
  for (const number of [4, 5, 6]) await announce(number);
  await announce(7, '', 'replaced'); // not put off, so all before it are here
  await until(() => heard.length === 1);
  expect(announcements.release(new Map([['clients', 4]]))).toBe(true);
  await announce(8);
  await until(() => heard.length === 4);
  expect(heard).toEqual([7, 5, 6, 8]);
  expect(missed).toBe(0);
});

it('mqtt announcements - a gap is told once, and nothing after it is applied', async () => {
  announcements.hold();
  expect(announcements.release(new Map([['clients', 4]]))).toBe(true);
  for (const number of [5, 7, 8]) await announce(number);
  await until(() => missed === 1);
  await announce(9, '', 'replaced');
  await until(() => heard.length === 2);
  expect(heard).toEqual([5, 9]);
  expect(missed).toBe(1);
});

it('mqtt announcements - a gap among what was held back makes the reading void', async () => {
  announcements.hold();
  await announce(6);
  await announce(7, '', 'replaced');
  await until(() => heard.length === 1);
  expect(announcements.release(new Map([['clients', 4]]))).toBe(false);
});

it('mqtt announcements - more than may be held back makes the reading void (I8)', async () => {
  announcements.hold();
  const large = Buffer.alloc(1_048_576);
  for (let number = 1; number <= 33; number++) await announce(number, large);
  await announce(34, '', 'replaced');
  await until(() => heard.length === 1);
  expect(announcements.release(new Map())).toBe(false);
});

it('mqtt announcements - a gap at the end is found when nothing follows, and a source that went back', async () => {
  announcements.hold();
  announcements.release(new Map([['clients', 4]]));
  announcements.check('clients', 4);
  announcements.check('clients', 5);
  expect(missed).toBe(0); // it may be on its way
  announcements.check('clients', 5);
  expect(missed).toBe(1);
  announcements.hold();
  announcements.release(new Map([['clients', 5]]));
  announcements.check('clients', 5);
  announcements.check('clients', 3);
  expect(missed).toBe(2);
});

it('mqtt announcements - a lost connection is told when it is there again', async () => {
  announcements.hold();
  announcements.release(new Map());
  await link.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await until(() => missed === 1);
  expect(announcements.release(new Map())).toBe(false);
});
