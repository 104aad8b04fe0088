import { PubSubError } from '../../domain/errors.ts';
import type { ConnectionRef, ConnectRequest, Departure } from '../store.ts';
import type { Argument, Link } from './link.ts';
import type { OwnConnection } from './mqtt-connections.ts';
import { bufferOf } from './mqtt-fields.ts';
import { keptSession, packSession } from './mqtt-kept-session.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { loadScript, type Script } from './script.ts';

export interface ClientsOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly node: string;
  readonly sessionsMax: number;
}

/** What a client's new connection found. */
export interface Claim {
  readonly sessionId: string;
  readonly present: boolean;
  readonly kept: boolean;
  readonly subscriptions: Readonly<Record<string, unknown>>;
  readonly generation: number;
  readonly grantedMs: number;
  readonly previous: string | undefined;
  readonly sentUpTo: number | undefined;
  readonly will: readonly Buffer[];
  /** The connection that was replaced, if there was one. */
  readonly earlier: { readonly node: string; readonly connection: string; readonly isAlive: boolean } | undefined;
  readonly ended: string;
}

/** What became of a client: a will to send, a session whose queue is to be removed. */
export interface Change {
  readonly will: readonly Buffer[];
  readonly ended: string;
}

const scripts = {
  connect: loadScript('mqtt-connect'),
  disconnect: loadScript('mqtt-disconnect'),
  subscribe: loadScript('mqtt-subscribe'),
  reclaim: loadScript('mqtt-reclaim'),
  lapse: loadScript('mqtt-lapse'),
};

/** The scripts that change one client, and what they answer. All on one server, over one connection, in order. */
export class Clients {
  readonly #options: ClientsOptions;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** @returns undefined: this node counts as dead and has to join again first. @throws RESOURCE_EXHAUSTED */
  async connect(request: ConnectRequest): Promise<Claim | undefined> {
    const { clientId, connection, cleanStart, expirySeconds, newSessionId, will } = request;
    const { sessionsMax } = this.#options;
    const session = packSession(newSessionId, {});
    const start = [connection, cleanStart ? 1 : '', expirySeconds, newSessionId, session, sessionsMax];
    const reply = await this.#run(scripts.connect, clientId, [
      ...start,
      will?.delaySeconds ?? '',
      bufferOf(will?.message ?? nothing),
    ]);
    const [outcome, ...rest] = reply as [Buffer, ...ClaimReply];
    if (`${outcome}` === 'dead') return undefined;
    if (`${outcome}` === 'full') throw tooMany(sessionsMax);
    return claimOf(clientId, rest);
  }

  async disconnect({ clientId, connection }: ConnectionRef, departure: Partial<Departure>): Promise<Change> {
    const { sendWill, expirySeconds, sentUpTo } = departure;
    const args = [connection, sendWill ? 1 : '', expirySeconds ?? '', sentUpTo ?? ''];
    return changeOf(await this.#run(scripts.disconnect, clientId, args));
  }

  /** @returns number of the announcement, 0 when there is none; undefined: another connection has the client */
  async subscribe({
    clientId,
    connection,
    sessionId,
    kept,
    subscriptions,
  }: OwnConnection): Promise<number | undefined> {
    const session = kept ? packSession(sessionId, Object.fromEntries(subscriptions)) : '';
    const reply = await this.#run(scripts.subscribe, clientId, [connection, session]);
    return reply === null ? undefined : Number(reply);
  }

  /** @returns its generation; undefined: it is lost */
  async reclaim({ clientId, connection, sessionId, kept }: OwnConnection): Promise<number | undefined> {
    const reply = await this.#run(scripts.reclaim, clientId, [connection, sessionId, kept ? 1 : '']);
    return reply === null ? undefined : Number(reply);
  }

  /** @param deadNode that the client may be connected to; or empty */
  async lapse(clientId: string, deadNode: string): Promise<Change> {
    return changeOf(await this.#run(scripts.lapse, clientId, [deadNode]));
  }

  #run(script: Script, clientId: string, args: readonly Argument[]): Promise<unknown> {
    const { link, keys, node } = this.#options;
    const first = [link.now(), keys.channel, node, clientId];
    return link.run(script, keys.client(clientId), [...first, ...args], { durable: true });
  }
}

const nothing = new Uint8Array();

/** As `mqtt-connect.lua` returns it. */
type ClaimReply = [
  sessionId: Buffer,
  present: number,
  kept: Buffer,
  generation: number,
  nowMs: Buffer,
  previous: Buffer,
  sentUpTo: Buffer,
  will: Buffer[],
  earlierNode: Buffer,
  isAlive: number,
  ended: Buffer,
];

function claimOf(clientId: string, reply: ClaimReply): Claim {
  const [sessionId, present, kept, generation, nowMs, previous, sentUpTo, will, earlierNode, isAlive, ended] = reply;
  return {
    sessionId: `${sessionId}`,
    present: present === 1,
    kept: kept.length > 0,
    subscriptions: kept.length > 0 ? keptSession(Buffer.from(clientId), kept).subscriptions : {},
    generation,
    grantedMs: Number(nowMs),
    previous: present === 1 ? `${previous}` : undefined,
    sentUpTo: present === 0 ? 0 : sentUpTo.length > 0 ? Number(sentUpTo) : undefined,
    will,
    earlier:
      earlierNode.length > 0
        ? { node: `${earlierNode}`, connection: `${previous}`, isAlive: isAlive === 1 }
        : undefined,
    ended: `${ended}`,
  };
}

function changeOf(reply: unknown): Change {
  const [will, ended] = reply as [Buffer[], Buffer];
  return { will, ended: `${ended}` };
}

function tooMany(sessionsMax: number): PubSubError {
  const message = `The server keeps ${sessionsMax} sessions and no more. Connect with a clean session, or end another.`;
  return new PubSubError('RESOURCE_EXHAUSTED', message);
}
