import type { KeptSession } from '../store.ts';
import type { Link } from './link.ts';
import { keptSession } from './mqtt-kept-session.ts';
import type { MqttKeys } from './mqtt-keys.ts';

/** Entries that one HSCAN or ZSCAN is asked for; retained messages are larger. */
const entriesPerPage = 500;
const retainedPerPage = 50;

/** Numbers of the last announcements, by source. */
export async function readAnnounced(link: Link, keys: MqttKeys): Promise<ReadonlyMap<string, number>> {
  const [clients, retained] = await Promise.all([
    link.command('GET', keys.announced),
    link.command('GET', keys.retainedAnnounced),
  ]);
  return new Map([
    ['clients', Number(clients ?? 0)],
    ['retained', Number(retained ?? 0)],
  ]);
}

/** Those that have not been declared dead. */
export async function readNodes(link: Link, keys: MqttKeys): Promise<readonly string[]> {
  return ((await link.command('ZRANGEBYSCORE', keys.nodes, 0, '+inf')) as Buffer[]).map(String);
}

export async function readInterests(
  link: Link,
  keys: MqttKeys,
  found: (node: string, filter: string) => void,
): Promise<void> {
  await scan(link, 'ZSCAN', keys.interests, entriesPerPage, (member) => {
    const end = member.indexOf(0);
    found(member.toString('utf8', 0, end), member.toString('utf8', end + 1));
  });
}

export async function readSessions(link: Link, keys: MqttKeys, found: (session: KeptSession) => void): Promise<void> {
  await scan(link, 'HSCAN', keys.sessions, entriesPerPage, (clientId, packed) => found(keptSession(clientId, packed)));
}

export async function readRetained(
  link: Link,
  keys: MqttKeys,
  found: (topic: string, message: Buffer) => void,
): Promise<void> {
  await scan(link, 'HSCAN', keys.retained, retainedPerPage, (topic, message) => found(`${topic}`, message));
}

/** An entry may come twice. */
async function scan(
  link: Link,
  command: 'HSCAN' | 'ZSCAN',
  key: string,
  count: number,
  found: (name: Buffer, value: Buffer) => void,
): Promise<void> {
  let cursor = '0';
  do {
    const [next, pairs] = (await link.command(command, key, cursor, 'COUNT', count)) as [Buffer, Buffer[]];
    for (let i = 0; i < pairs.length; i += 2) found(pairs[i]!, pairs[i + 1]!);
    cursor = `${next}`;
  } while (cursor !== '0');
}
