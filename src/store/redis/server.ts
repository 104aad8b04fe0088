import type { RedisOptions } from 'ioredis';
import { type Argument, Unavailable } from './link.ts';
import { Refusal } from './reply-error.ts';
import type { Script } from './script.ts';
import { Wire, type WireLimits } from './wire.ts';

/** How many replicas have to have a durable write before it counts. */
export interface Waiting {
  /** 0: none, the server's own answer counts. */
  readonly replicas: number;
  /** They have to have it on disk, and the server too (`WAITAOF`, Redis 7.2). */
  readonly aof: boolean;
}

interface Round {
  readonly settled: Promise<Error | undefined>;
  readonly settle: (error: Error | undefined) => void;
}

/**
 * One server. Durable writes have a connection of their own when replicas are waited for: `WAIT` keeps back whatever
 * comes after it on its connection, and nobody's lease should stand behind that.
 *
 * WAIT is asked once for everything that was sent before it, one at a time: a *round* gathers the writes that are sent
 * while the last WAIT is unanswered. A write and its WAIT must have gone over the same connection (`epoch`): a new one
 * has written nothing yet, and its WAIT would say yes at once.
 */
export class Server {
  readonly name: string;
  readonly wire: Wire;
  readonly #durable: Wire;
  readonly #waiting: Waiting;
  readonly #waitMs: number;
  /** Scripts on their way, by hash. */
  readonly #loading = new Map<string, Promise<unknown>>();
  #round: Round | undefined;
  #asked = false;
  #noWaitAof = false;

  constructor(name: string, options: RedisOptions, limits: WireLimits, waiting: Waiting) {
    this.name = name;
    this.wire = new Wire(name, options, limits);
    const waits = waiting.replicas > 0 || waiting.aof;
    this.#durable = waits ? new Wire(name, options, limits) : this.wire;
    this.#waiting = waiting;
    // A write may stand behind one WAIT, and has to be answered in time all the same.
    this.#waitMs = Math.ceil(limits.timeoutMs / 3);
  }

  get wires(): readonly Wire[] {
    return this.#durable === this.wire ? [this.wire] : [this.wire, this.#durable];
  }

  /** As `Wire.call`; a durable one also throws Unavailable when too few replicas have it. */
  async call(name: string, args: readonly Argument[], durable: boolean, asking: boolean): Promise<unknown> {
    const wire = this.wireFor(durable);
    if (wire === this.wire) return wire.call(name, args, asking);
    const { epoch } = wire;
    const replying = wire.call(name, args, asking);
    const waiting = this.#waited(epoch);
    const reply = await replying;
    const missing = await waiting;
    if (missing) throw missing;
    return reply;
  }

  /**
   * Gives it a script, once for all that ask for it: they may be thousands that were refused together.
   * @throws as `Wire.call`
   */
  load({ sha, lua }: Script, durable: boolean): Promise<unknown> {
    const underWay = this.#loading.get(sha);
    if (underWay) return underWay;
    const loading = this.wireFor(durable).call('SCRIPT', ['LOAD', lua]);
    this.#loading.set(sha, loading);
    // Not at once: refusals that came with the answer are still being looked at.
    const over = () => setImmediate(() => this.#loading.delete(sha));
    loading.then(over, over);
    return loading;
  }

  wireFor(durable: boolean): Wire {
    return durable ? this.#durable : this.wire;
  }

  close(): void {
    for (const wire of this.wires) wire.close();
  }

  /** Resolves with what is wrong, once the replicas were asked about everything sent so far on connection `epoch`. */
  async #waited(epoch: number): Promise<Error | undefined> {
    this.#round ??= newRound();
    const { settled } = this.#round;
    if (!this.#asked) this.#ask();
    const error = await settled;
    if (error || this.#durable.epoch === epoch) return error;
    return new Unavailable(
      `The connection to the Redis server ${this.name} was lost before its replicas answered.`,
      true,
    );
  }

  /** At the end of the turn, so that everything that is written in it is covered. */
  #ask(): void {
    this.#asked = true;
    process.nextTick(async () => {
      const round = this.#round!;
      this.#round = undefined;
      round.settle(await this.#wait());
      this.#asked = false;
      if (this.#round) this.#ask();
    });
  }

  async #wait(): Promise<Error | undefined> {
    try {
      const { replicas, aof } = this.#waiting;
      const [local, copies]: readonly [number, number] =
        aof && !this.#noWaitAof ? await this.#waitAof(replicas) : [1, await this.#waitMemory(replicas)];
      if (local >= 1 && copies >= replicas) return undefined;
      const text = `Only ${copies} of the ${replicas} replicas that an acknowledgement waits for have it within ${this.#waitMs} ms: bring them back, or wait for fewer (--redis-wait).`;
      return new Unavailable(text, true);
    } catch (error) {
      if (!(error instanceof Refusal) || error.word !== 'ERR' || this.#noWaitAof) return error as Error;
      this.#noWaitAof = true; // before Redis 7.2, or without an append-only file
      return this.#wait();
    }
  }

  async #waitAof(replicas: number): Promise<[number, number]> {
    return (await this.#durable.call('WAITAOF', [1, replicas, this.#waitMs])) as [number, number];
  }

  async #waitMemory(replicas: number): Promise<number> {
    return replicas === 0 ? 0 : ((await this.#durable.call('WAIT', [replicas, this.#waitMs])) as number);
  }
}

function newRound(): Round {
  let settle!: Round['settle'];
  const settled = new Promise<Error | undefined>((resolve) => {
    settle = resolve;
  });
  return { settled, settle };
}
