import { Redis } from 'ioredis';
import type { Argument, Link } from '../../src/store/redis/link.ts';
import type { Script } from '../../src/store/redis/script.ts';

/** The least of a link: one server, no retries. For what is tested or measured without the rest of the adapter. */
export interface BareLink extends Link {
  readonly redis: Redis;
}

/** @param clock absent: the server's */
export function openBareLink(port: number, clock?: () => number): BareLink {
  const redis = new Redis({ port, host: '127.0.0.1', enableAutoPipelining: false });
  const call = (name: string, args: readonly Argument[]) => redis.callBuffer(name, ...args);
  return {
    redis,
    async run({ sha, lua, keyCount }: Script, keys, args) {
      if (keys.length !== keyCount) throw new TypeError(`The script takes ${keyCount} keys, not ${keys.length}.`);
      const rest = [keyCount, ...keys, ...args];
      try {
        return await call('EVALSHA', [sha, ...rest]);
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
        return call('EVAL', [lua, ...rest]);
      }
    },
    command: (name, ...args) => call(name, args),
    onEachServer: async (name, ...args) => [await call(name, args)],
    onConnect: () => () => undefined,
    now: () => (clock ? String(clock()) : ''),
  };
}
