import { afterAll, beforeAll, describe } from 'vitest';
import { redisMqttStore } from '../support/redis-mqtt-store.ts';
import { type RedisClusterServers, RedisServer, startRedisCluster } from '../support/redis-server.ts';
import { mqttNodesContract } from './mqtt-nodes.contract.ts';
import { mqttStateContract } from './mqtt-state.contract.ts';

describe('one server', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.remove());
  const open = redisMqttStore(() => redis.url);
  mqttStateContract('redis', open);
  mqttNodesContract('redis', open);
});

describe('a cluster', () => {
  let cluster: RedisClusterServers;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.remove());
  const open = redisMqttStore(() => cluster.url);
  mqttStateContract('redis-cluster', open);
  mqttNodesContract('redis-cluster', open);
});
