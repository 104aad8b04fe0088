import { Redis } from 'ioredis';
import { openStore } from '../../src/store/open-store.ts';
import type { OpenStoreUnderTest } from '../contract/store.contract.ts';

let opened = 0;

/** A prefix that no other test of this run has. */
export function freshPrefix(): string {
  return `t${process.pid}-${++opened}:`;
}

/** A store of its own on the server or cluster at `url`, with a prefix of its own and the test's clock. */
export function openRedisUnderTest(url: () => string): OpenStoreUnderTest {
  return async (clock) => {
    const options = { url: url(), clock, redis: { prefix: freshPrefix(), clock } };
    const under = {
      leasesSurvive: true,
      store: await openStore(options),
      async reopen() {
        await under.store.close();
        under.store = await openStore(options);
        return under.store;
      },
      remove: () => under.store.close(),
    };
    return under;
  };
}

/** A client without any of the store's own code, to look and to meddle. */
export function plainClient(port: number): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 1, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  return redis;
}
