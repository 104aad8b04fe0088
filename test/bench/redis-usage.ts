import { Redis } from 'ioredis';

/** What a Redis server has used, read over a connection of its own. */
export class RedisUsage {
  readonly #redis: Redis;

  constructor(port: number) {
    this.#redis = new Redis({ port, host: '127.0.0.1' });
  }

  /** User and system, all threads. */
  async cpuSeconds(): Promise<number> {
    const info = await this.#redis.info('cpu');
    return number(info, 'used_cpu_sys') + number(info, 'used_cpu_user');
  }

  async memoryBytes(): Promise<number> {
    return number(await this.#redis.info('memory'), 'used_memory');
  }

  close(): void {
    this.#redis.disconnect();
  }
}

function number(info: string, name: string): number {
  return Number(new RegExp(`^${name}:([0-9.]+)`, 'm').exec(info)?.[1] ?? Number.NaN);
}
