import { afterAll, beforeAll, describe } from 'vitest';
import { type RedisClusterServers, RedisServer, startRedisCluster } from '../support/redis-server.ts';
import { openRedisUnderTest } from '../support/redis-under-test.ts';
import { partitionsContract } from './partitions.contract.ts';

describe('one server', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());
  partitionsContract(
    'redis',
    openRedisUnderTest(() => redis.url),
  );
});

describe('three masters', () => {
  let cluster: RedisClusterServers;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.remove());
  partitionsContract(
    'redis-cluster',
    openRedisUnderTest(() => cluster.url),
  );
});
