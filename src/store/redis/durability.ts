import type { DurabilityLevel } from '../store.ts';
import type { Connection } from './connection.ts';
import { Refusal } from './reply-error.ts';

/** What an acknowledgement is worth. */
export interface Durability {
  readonly level: DurabilityLevel;
  readonly words: string;
}

/** What one server says of itself; undefined: it does not say. */
interface Persistence {
  readonly appendOnly: boolean | undefined;
  readonly appendFsync: string | undefined;
  /** While the append-only file is rewritten nothing is fsynced. */
  readonly skipsFsync: boolean;
  readonly replicasMin: number;
  /** Bytes of its append-only file, 0 without one. */
  readonly bytes: number;
  /** What it deletes when its memory is full, as `maxmemory-policy` names it. */
  readonly evicts: string;
}

const worstFirst: readonly DurabilityLevel[] = ['memory', 'unknown', 'delayed', 'fsynced'];

/**
 * Reads what the servers do with a write before they answer, from their settings as they are now. Settings may change
 * while Headwater runs, so it is read at the start, on every new connection and with every look at the store's health.
 */
export class DurabilityReader {
  readonly #link: Connection;
  #last: Durability = { level: 'unknown', words: 'unknown: the Redis server has not been asked yet' };
  bytesOnDisk = 0;

  constructor(link: Connection) {
    this.#link = link;
  }

  /** As it was read last. */
  get last(): Durability {
    return this.#last;
  }

  /** @throws Unavailable */
  async read(): Promise<Durability> {
    const servers = await this.#servers();
    this.bytesOnDisk = servers.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#last = this.#worth(servers, await this.#hasWaitAof());
    return this.#last;
  }

  #worth(servers: readonly Persistence[], hasWaitAof: boolean): Durability {
    const { replicas, aof } = this.#link.waiting;
    const waits = aof && hasWaitAof && servers.every(({ appendOnly }) => appendOnly);
    const worths = servers.map((server) =>
      evictsMessages(server) ? evicted(server) : waits ? fsynced : worthOf(server),
    );
    const worst = worths.sort((a, b) => worstFirst.indexOf(a.level) - worstFirst.indexOf(b.level))[0] ?? unknown;
    const replicasMin = Math.min(...servers.map((server) => server.replicasMin));
    const more = [...failover(replicas, replicasMin, aof, waits), ...forgets(servers)];
    return { level: worst.level, words: [worst.words, ...more].join('; ') };
  }

  async #servers(): Promise<Persistence[]> {
    const [infos, memories, appends, replicas] = await Promise.all([
      this.#link.onEachServer('INFO', 'persistence'),
      this.#link.onEachServer('INFO', 'memory'),
      this.#settings('*append*'),
      this.#settings('min-replicas-to-write'),
    ]);
    return infos.map((info, at) => persistence(`${info}`, `${memories[at]}`, appends?.[at], replicas?.[at]));
  }

  /** By server; undefined when the user of the store may not ask. */
  async #settings(pattern: string): Promise<Map<string, string>[] | undefined> {
    try {
      const replies = (await this.#link.onEachServer('CONFIG', 'GET', pattern)) as Buffer[][];
      return replies.map((reply) => {
        const words = reply.map(String);
        return new Map(words.flatMap((name, at) => (at % 2 === 0 ? [[name, words[at + 1]!] as const] : [])));
      });
    } catch (error) {
      if (isRefused(error)) return undefined;
      throw error;
    }
  }

  async #hasWaitAof(): Promise<boolean> {
    if (!this.#link.waiting.aof) return false;
    const replies = await this.#link.onEachServer('COMMAND', 'INFO', 'WAITAOF');
    return replies.every((reply) => Array.isArray(reply) && reply[0] !== null);
  }
}

const fsynced: Durability = { level: 'fsynced', words: 'fsynced: an acknowledged message is on the disk of Redis' };
const unknown: Durability = {
  level: 'unknown',
  words: 'unknown: Redis does not tell its settings (CONFIG GET is not allowed); ask its operator for appendfsync',
};

/** Any key may go: whole logs, without a word to anybody. */
function evictsMessages({ evicts }: Persistence): boolean {
  return evicts.startsWith('allkeys-');
}

function evicted({ evicts }: Persistence): Durability {
  const words = `memory only: Redis deletes acknowledged messages when its memory is full (set maxmemory-policy noeviction in Redis, it is ${evicts})`;
  return { level: 'memory', words };
}

/** Keys that expire may go: no message has an expiry, but what tells a repeated write from a new one does. */
function forgets(servers: readonly Persistence[]): string[] {
  const policy = servers.find(({ evicts }) => evicts.startsWith('volatile-'))?.evicts;
  if (!policy) return [];
  return [
    `when its memory is full Redis may forget what was repeated and store it twice (set maxmemory-policy noeviction, it is ${policy})`,
  ];
}

function worthOf({ appendOnly, appendFsync, skipsFsync }: Persistence): Durability {
  if (appendOnly === undefined) return unknown;
  if (!appendOnly) {
    const words =
      'memory only: an acknowledged message is lost when Redis stops (set appendonly yes in Redis to keep it)';
    return { level: 'memory', words };
  }
  if (appendFsync === undefined) return unknown;
  if (appendFsync === 'everysec') return delayed('up to about 2 s may be lost when the machine of Redis fails');
  if (appendFsync !== 'always') return delayed('up to about 30 s may be lost when the machine of Redis fails');
  if (!skipsFsync) return fsynced;
  return delayed('what is written while Redis rewrites its file may be lost (no-appendfsync-on-rewrite is yes)');
}

function delayed(words: string): Durability {
  return { level: 'delayed', words };
}

/** What becomes of it when a replica takes over. */
function failover(replicas: number, replicasMin: number, aof: boolean, waits: boolean): string[] {
  const words: string[] = [];
  const where = waits ? 'on disk' : 'in memory';
  if (replicas > 0) {
    const have = replicas === 1 ? '1 replica has' : `${replicas} replicas have`;
    words.push(`${have} it ${where}, too, and a failover to one of those loses nothing`);
  } else words.push('a failover to a replica may lose the last moment (--redis-wait asks replicas first)');
  if (aof && !waits)
    words.push('WAITAOF was asked for, but this Redis cannot do it (that takes 7.2 and appendonly yes)');
  if (replicasMin > 0) words.push(`writes stop with fewer than ${replicasMin} replicas in step`);
  return words;
}

function persistence(
  info: string,
  memory: string,
  appends: Map<string, string> | undefined,
  replicas: Map<string, string> | undefined,
): Persistence {
  const enabled = appends?.get('appendonly') ?? { '0': 'no', '1': 'yes' }[field(info, 'aof_enabled') ?? ''];
  return {
    appendOnly: enabled === undefined ? undefined : enabled === 'yes',
    appendFsync: appends?.get('appendfsync'),
    skipsFsync: appends?.get('no-appendfsync-on-rewrite') === 'yes',
    replicasMin: Number(replicas?.get('min-replicas-to-write') ?? 0),
    bytes: Number(field(info, 'aof_current_size') ?? 0),
    // From INFO, which managed servers answer too. Without a bound on its memory it deletes nothing.
    evicts: Number(field(memory, 'maxmemory') ?? 0) > 0 ? (field(memory, 'maxmemory_policy') ?? '') : '',
  };
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}

/** Not allowed, or not known, as with managed servers. */
function isRefused(error: unknown): boolean {
  const refusal = error instanceof Refusal ? error : (error as Error).cause;
  return refusal instanceof Refusal && ['NOPERM', 'ERR'].includes(refusal.word);
}
