import { Redis, type RedisOptions, ReplyError } from 'ioredis';
import { backOffMs } from './back-off.ts';
import { type Argument, Unavailable } from './link.ts';
import { Refusal, unavailable } from './reply-error.ts';

export interface WireLimits {
  /** No answer to a command for this long: the connection is given up and made again. */
  readonly timeoutMs: number;
}

/** It never left this process: sending it later does no harm. */
export class Unsent extends Unavailable {
  constructor(server: string, why: string) {
    super(`The Redis server ${server} cannot be reached (${why}); try again when it is back.`, true);
  }
}

class TooLate extends Error {
  override readonly message = 'no answer in time';
}

/**
 * One connection to one server, made again for as long as the wire is not closed.
 *
 *     down ──connected, and INFO says it has loaded──► up ──closed, or a command unanswered for too long──► down
 *
 * While down nothing is queued: a call is `Unsent` at once. What was sent when the connection closes is rejected at once,
 * its outcome unknown, and never sent again from here. A server that stops answering loses the connection too: otherwise
 * commands would pile up in the socket without a bound, and late answers would meet whoever no longer waits.
 */
export class Wire {
  readonly server: string;
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #up = new Set<() => void>();
  #isUp = false;
  #downSinceMs = performance.now();
  #why = 'not connected yet';
  #corked = false;
  /** Counts connections: what was learned on one does not hold for the next. */
  epoch = 0;
  losses = 0;
  timeouts = 0;

  /** @param server how messages call it: without a password */
  constructor(server: string, options: RedisOptions, { timeoutMs }: WireLimits) {
    this.server = server;
    this.#timeoutMs = timeoutMs;
    this.#redis = new Redis({
      connectTimeout: timeoutMs,
      keepAlive: 10_000,
      disableClientInfo: true,
      maxLoadingRetryTime: 200,
      ...options,
      // Rejects what was sent as soon as the connection closes. Without it ioredis keeps or resends it.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      retryStrategy: (attempt) => backOffMs(attempt),
      sentinelRetryStrategy: (attempt) => backOffMs(attempt),
    });
    this.#redis.on('ready', () => this.#connected());
    this.#redis.on('close', () => this.#lost());
    this.#redis.on('error', (error: Error) => {
      this.#why = error.message || (error as NodeJS.ErrnoException).code || error.name;
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** How long it has been down; 0 while it is up. */
  get downMs(): number {
    return this.#isUp ? 0 : performance.now() - this.#downSinceMs;
  }

  /** Why nothing can be sent: it is away, which may pass, or it does not let us in. */
  get unsent(): Error {
    const refused = /\b(?:WRONGPASS|NOAUTH|NOPERM)\b.*/.exec(this.#why);
    return refused ? unavailable(this.server, new Refusal(refused[0])) : new Unsent(this.server, this.#why);
  }

  /** Calls back each time the connection is made. */
  onUp(up: () => void): () => void {
    this.#up.add(up);
    return () => this.#up.delete(up);
  }

  /** Resolves when it is up or the time is over, whichever comes first. */
  upWithin(ms: number): Promise<void> {
    if (this.#isUp || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, ms);
      const stop = this.onUp(done);
    });
  }

  /**
   * @param asking with `ASKING` in front: the server takes it although the slot is only on its way there.
   * @throws Refusal what the server answered; Unsent; Unavailable: no answer, the outcome is unknown.
   */
  async call(name: string, args: readonly Argument[], asking = false): Promise<unknown> {
    if (!this.#isUp) throw this.unsent;
    this.#cork();
    try {
      if (asking) this.#redis.call('ASKING').catch(() => undefined);
      return await this.#inTime(this.#redis.callBuffer(name, ...args));
    } catch (error) {
      throw this.#failure(error as Error);
    }
  }

  close(): void {
    this.#why = 'the store was closed';
    this.#redis.disconnect();
  }

  /**
   * Rejects with TooLate when the time is over and the answer is not there. When this process was held up, its timers
   * come due before it has read what has long arrived: so the socket gets its turn first.
   */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => setImmediate(() => reject(new TooLate())), this.#timeoutMs);
      answer.then(resolve, reject).finally(() => clearTimeout(late));
    });
  }

  /** What is sent in one turn of the event loop leaves in one write. */
  #cork(): void {
    if (this.#corked) return;
    const { stream } = this.#redis;
    this.#corked = true;
    stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      stream.uncork();
    });
  }

  #connected(): void {
    this.epoch++;
    this.#isUp = true;
    for (const up of [...this.#up]) up();
  }

  #lost(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#downSinceMs = performance.now();
    this.losses++;
  }

  #failure(error: Error): Error {
    if (error instanceof ReplyError) return this.#refusal(error.message);
    if (error.message.startsWith("Stream isn't writeable")) return this.unsent;
    const timedOut = error instanceof TooLate;
    if (timedOut) this.#giveUp();
    const why = timedOut ? 'it took too long' : 'the connection was lost';
    const text = `The Redis server ${this.server} gave no answer (${why}); whether it did what was asked is not known, try again.`;
    return new Unavailable(text, true, { cause: new Error(error.message) });
  }

  #refusal(message: string): Refusal {
    // After a failover the sentinels name another master: look again.
    if (message.startsWith('READONLY') || message.startsWith('UNBLOCKED')) this.#redis.stream.destroy();
    return new Refusal(message);
  }

  #giveUp(): void {
    this.timeouts++;
    this.#why = 'it took too long to answer';
    this.#redis.stream.destroy();
  }
}
