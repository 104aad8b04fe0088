import type { Link } from './link.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { loadScript } from './script.ts';

export interface BeatsOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly node: string;
  readonly nodeDeadMs: number;
}

/** What a beat tells. */
export interface Beat {
  /** Number of the last announcement. */
  readonly announced: number;
  /** Clients that time has done something to. */
  readonly due: readonly string[];
  /** A node that is dead and has not been cleaned up after; empty: there is none. */
  readonly dead: string;
  readonly clientsOfDead: readonly string[];
  /** Wills that were taken and not yet sent. */
  readonly taken: number;
  /** Sessions that have ended and may still have a queue. */
  readonly ended: readonly string[];
  readonly sessions: number;
  readonly joined: boolean;
}

const scripts = { beat: loadScript('mqtt-beat'), leave: loadScript('mqtt-leave') };

/** Clients, and as many sessions, that one beat names. */
const namedPerBeat = 200;

/**
 * How a node shows that it lives:
 *
 *     joined ──beat in time──► alive ──none for nodeDeadMs, and another notices──► dead ──join──► alive
 *
 * Only a node whose own beats have come in time for nodeDeadMs may notice: when Redis was away all are late, and the first
 * to come back must not bury the others. Whatever a dead node left is worked off in steps by all others.
 */
export class Beats {
  readonly #options: BeatsOptions;

  constructor(options: BeatsOptions) {
    this.#options = options;
  }

  /** @returns undefined: this node was declared dead. @throws Unavailable */
  async beat(join: boolean): Promise<Beat | undefined> {
    const { link, keys, node, nodeDeadMs } = this.#options;
    const { nodes, steady, due, connected, interests, taken, ended, announced, sessions } = keys;
    const args = [link.now(), keys.channel, node, nodeDeadMs, join ? 1 : '', namedPerBeat];
    const all = [nodes, steady, due, connected, interests, taken, ended, announced, sessions];
    const reply = await link.run(scripts.beat, all, args, { durable: true });
    return reply === null ? undefined : beatOf(reply as BeatReply);
  }

  async leave(): Promise<void> {
    const { link, keys, node } = this.#options;
    const all = [keys.nodes, keys.steady, keys.announced];
    await link.run(scripts.leave, all, [keys.channel, node], { durable: true });
  }
}

/** As `mqtt-beat.lua` returns it. */
type BeatReply = [
  announced: number,
  due: Buffer[],
  dead: Buffer,
  clientsOfDead: Buffer[],
  taken: number,
  ended: Buffer[],
  sessions: number,
  joined: number,
];

function beatOf([announced, due, dead, clientsOfDead, taken, ended, sessions, joined]: BeatReply): Beat {
  return {
    announced,
    due: due.map(String),
    dead: `${dead}`,
    clientsOfDead: clientsOfDead.map(String),
    taken,
    ended: ended.map(String),
    sessions,
    joined: joined === 1,
  };
}
