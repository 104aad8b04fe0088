import { backOffMs } from './back-off.ts';
import { type Argument, stopping } from './link.ts';
import { Refusal, unavailable } from './reply-error.ts';
import type { Script } from './script.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';
import { Unsent, type Wire } from './wire.ts';

export interface RouterLimits {
  /** Within this the whole call is over, redirections and waiting included. */
  readonly timeoutMs: number;
  /** Calls that may wait for a server to come back; more are refused at once. */
  readonly waitingMax: number;
}

export interface Call {
  readonly slot: number;
  readonly name: string;
  readonly args: readonly Argument[];
  readonly durable: boolean;
  /** Whose `EVALSHA` it is. */
  readonly script?: Script;
}

/** Redirections of one call; a slot that moves is told once or twice. */
const redirectionsMax = 16;

/**
 * Brings a call to the server that has its slot. It is sent again only when it was surely not done: it never left
 * (`Unsent`), or the server refused to look at it (`MOVED`, `ASK`, `TRYAGAIN`, `CLUSTERDOWN`, `LOADING`). A call that was
 * sent and not answered fails: only its caller knows whether it may be repeated. A server that does not know a script
 * (`NOSCRIPT`: it is new, or was started again) is given it first.
 *
 * While a server is away its calls wait for it, but no longer than `timeoutMs` from when it went: after that they fail at
 * once until it is back.
 */
export class Router {
  readonly #servers: Servers;
  readonly #shown: string;
  readonly #limits: RouterLimits;
  #closed = false;
  redirections = 0;
  waiting = 0;

  /** @param shown how messages call the store when no server is known */
  constructor(servers: Servers, shown: string, limits: RouterLimits) {
    this.#servers = servers;
    this.#shown = shown;
    this.#limits = limits;
  }

  /** @throws Unavailable; Refusal what is a bug of ours */
  async send(call: Call): Promise<unknown> {
    const { slot, name, args, durable } = call;
    const untilMs = performance.now() + this.#limits.timeoutMs;
    let server = this.#servers.of(slot);
    let asking = false;
    for (let tries = 1; ; tries++) {
      try {
        if (this.#closed) throw stopping();
        if (!server) throw new Unsent(this.#shown, this.#servers.problem);
        return await server.call(name, args, durable, asking);
      } catch (error) {
        asking = error instanceof Refusal && error.word === 'ASK';
        server = await this.#next(error as Error, call, server, tries, untilMs - performance.now());
      }
    }
  }

  /** To one server, whatever slots it has. */
  async sendTo(server: Server, name: string, args: readonly Argument[]): Promise<unknown> {
    try {
      await server.wire.upWithin(this.#limits.timeoutMs - server.wire.downMs);
      return await server.call(name, args, false, false);
    } catch (error) {
      throw error instanceof Refusal ? unavailable(server.name, error) : error;
    }
  }

  close(): void {
    this.#closed = true;
  }

  /** Whom to send it to next, once that makes sense. */
  async #next(
    error: Error,
    call: Call,
    server: Server | undefined,
    tries: number,
    leftMs: number,
  ): Promise<Server | undefined> {
    const { slot, durable, script } = call;
    if (error instanceof Unsent) return this.#whenBack(error, slot, server?.wireFor(durable), tries, leftMs);
    if (!(error instanceof Refusal) || !server) throw error;
    if (tries > redirectionsMax || leftMs <= 0) throw unavailable(server.name, error);
    switch (error.word) {
      case 'NOSCRIPT':
        if (!script) throw error;
        return this.#given(script, call, server, tries, leftMs);
      case 'MOVED':
      case 'ASK':
        return this.#redirected(error, slot, server);
      case 'CLUSTERDOWN':
      case 'TRYAGAIN':
      case 'LOADING':
        await sleep(Math.min(leftMs, backOffMs(tries)));
        await this.#servers.refresh();
        return this.#servers.of(slot);
      default:
        throw unavailable(server.name, error);
    }
  }

  /** The same server, which knows the script now; whoever is next when it could not be given. */
  async #given(script: Script, call: Call, server: Server, tries: number, leftMs: number): Promise<Server | undefined> {
    try {
      await server.load(script, call.durable);
      return server;
    } catch (error) {
      return this.#next(error as Error, call, server, tries, leftMs);
    }
  }

  /** `MOVED 3999 127.0.0.1:6381`: that server has the slot. `ASK …`: it takes this one call. */
  #redirected(refusal: Refusal, slot: number, server: Server): Server {
    const address = refusal.message.split(' ')[2]!;
    const next = this.#servers.at(address, server);
    if (next === server) throw unavailable(server.name, refusal); // a server of a cluster, used as if it were alone
    this.redirections++;
    if (refusal.word === 'MOVED') this.#servers.moved(slot, next);
    return next;
  }

  async #whenBack(
    unsent: Unsent,
    slot: number,
    wire: Wire | undefined,
    tries: number,
    leftMs: number,
  ): Promise<Server | undefined> {
    const { timeoutMs, waitingMax } = this.#limits;
    const patienceMs = Math.min(leftMs, timeoutMs - (wire?.downMs ?? 0));
    if (patienceMs <= 0 || this.#closed || this.waiting >= waitingMax) throw unsent;
    this.waiting++;
    try {
      const waitMs = Math.min(patienceMs, backOffMs(tries));
      await Promise.all([this.#servers.refresh(), wire ? wire.upWithin(waitMs) : sleep(waitMs)]);
      return this.#servers.of(slot);
    } finally {
      this.waiting--;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
