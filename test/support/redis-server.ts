import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { makeTempDirectory } from './temp-directory.ts';

export interface RedisServerOptions {
  /** `no` keeps everything in memory. */
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  /** More of `redis-server`'s settings, as `['--name', 'value']`. */
  readonly settings?: readonly string[];
}

/** A real `redis-server` on a free port of 127.0.0.1, with a directory of its own. */
export class RedisServer {
  readonly port: number;
  readonly #arguments: readonly string[];
  readonly #directory = makeTempDirectory();
  #process: ChildProcess | undefined;

  private constructor(port: number, { appendfsync = 'no', settings = [] }: RedisServerOptions) {
    this.port = port;
    const durable = appendfsync === 'no' ? ['no'] : ['yes', '--appendfsync', appendfsync];
    this.#arguments = [
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', this.#directory.path, '--save', ''],
      ...['--appendonly', ...durable, '--loglevel', 'warning', ...settings],
    ];
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    requireRedis();
    const server = new RedisServer(await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** Starts it again on what it left. Resolves when it answers. */
  async start(): Promise<void> {
    this.#process = spawn('redis-server', [...this.#arguments], { stdio: 'ignore' });
    await answering(this.port);
  }

  /** SIGKILL, as the kernel's out-of-memory killer does it. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }

  async remove(): Promise<void> {
    await this.kill();
    this.#directory.remove();
  }
}

/** A replica is to have its copy at once, not after waiting for others that might want one too. */
const noSyncDelay = ['--repl-diskless-sync-delay', '0'];

/** Masters that share the slots, each with `replicas` copies; `url` names the masters. */
export interface RedisClusterServers {
  readonly url: string;
  readonly servers: readonly RedisServer[];
  remove(): Promise<void>;
}

export async function startRedisCluster(
  masters = 3,
  replicas = 0,
  options: RedisServerOptions = {},
): Promise<RedisClusterServers> {
  const settings = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    ...noSyncDelay,
    ...(options.settings ?? []),
  ];
  const servers: RedisServer[] = [];
  // One by one: a free port is only surely free until somebody else asks for one.
  for (let i = 0; i < masters * (1 + replicas); i++) servers.push(await RedisServer.start({ ...options, settings }));
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', `${replicas}`, '--cluster-yes'];
  execFileSync('redis-cli', create, { stdio: 'ignore' });
  await Promise.all(servers.map(({ port }) => clusterIsUp(port)));
  await Promise.all(servers.slice(masters).map(({ port }) => replicaIsUp(port)));
  return {
    url: `redis-cluster://${addresses.slice(0, masters).join(',')}`,
    servers,
    remove: async () => void (await Promise.all(servers.map((server) => server.remove()))),
  };
}

/** Installs Debian's package when it is missing and may be installed; says what to do otherwise. */
function requireRedis(): void {
  if (spawnSync('redis-server', ['--version']).status === 0) return;
  const installed = spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (installed.status === 0) return;
  throw new Error('The tests need a real Redis 7 and could not install it: run "apt-get install redis-server" first.');
}

/** Below the range that the system hands out by itself, and with room for the cluster bus, 10000 above. */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 12_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
  throw new Error('There is no free port for a Redis server.');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

async function answering(port: number): Promise<void> {
  await eventually(async (redis) => (await redis.ping()) === 'PONG', port);
}

async function clusterIsUp(port: number): Promise<void> {
  await eventually(
    async (redis) => (await redis.call('CLUSTER', 'INFO'))!.toString().includes('cluster_state:ok'),
    port,
  );
}

async function replicaIsUp(port: number): Promise<void> {
  await eventually(async (redis) => (await redis.info('replication')).includes('master_link_status:up'), port);
}

/** Another process gives no event to wait for. */
async function eventually(isTrue: (redis: Redis) => Promise<boolean>, port: number): Promise<void> {
  const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => 20 });
  redis.on('error', () => {});
  try {
    for (let tries = 0; tries < 500; tries++) {
      if (await isTrue(redis).catch(() => false)) return;
      await sleep(20);
    }
    throw new Error(`The Redis server on port ${port} does not answer.`);
  } finally {
    redis.disconnect();
  }
}
