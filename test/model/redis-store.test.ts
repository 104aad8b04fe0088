import { afterAll, beforeAll, describe } from 'vitest';
import { type RedisClusterServers, RedisServer, startRedisCluster } from '../support/redis-server.ts';
import { openRedisUnderTest } from '../support/redis-under-test.ts';
import { storeModel } from './store.model.ts';

describe('one server', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());
  storeModel(
    'redis',
    openRedisUnderTest(() => redis.url),
    300,
  );
});

describe('three masters', () => {
  let cluster: RedisClusterServers;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.remove());
  storeModel(
    'redis-cluster',
    openRedisUnderTest(() => cluster.url),
    300,
  );
});
