import { openStore } from '../../../src/store/open-store.ts';
import type { MqttStateLimits, Store } from '../../../src/store/store.ts';
import type { RedisServer } from '../../support/redis-server.ts';
import { RecordingUplink } from './recording-uplink.ts';
import { TestServer, type TestServerOptions } from './test-server.ts';
import { WatchedState } from './watched-state.ts';

interface Node {
  readonly server: TestServer;
  readonly store: Store;
  swept(): Promise<void>;
}

/** Servers that share a Redis under one prefix, an uplink, and a time that moves only when it is told to. */
export class Deployment {
  readonly uplink = new RecordingUplink();
  readonly #redis: RedisServer;
  readonly #prefix: string;
  readonly #nodes = new Map<TestServer, Node>();
  #nowMs = Date.UTC(2026, 10, 21);

  constructor(redis: RedisServer, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async node(options: TestServerOptions = {}): Promise<TestServer> {
    const clock = () => this.#nowMs;
    const store = await openStore({ url: this.#redis.url, clock, redis: { prefix: this.#prefix, clock } });
    let waiting: (() => void)[] = [];
    const onSwept = () => {
      for (const resolve of waiting) resolve();
      waiting = [];
    };
    const state = (limits: MqttStateLimits) => new WatchedState(store.mqttState(limits), async () => {}, onSwept);
    const swept = () => new Promise<void>((resolve) => waiting.push(resolve));
    const server = await TestServer.start({ ...options, uplink: this.uplink, clock, disk: { state } });
    this.#nodes.set(server, { server, store, swept });
    await this.pass(1000);
    return server;
  }

  /** Without a word to anybody, as SIGKILL does it. */
  async kill(server: TestServer): Promise<void> {
    const { store } = this.#nodes.get(server)!;
    this.#nodes.delete(server);
    await store.close();
    await server.stop(0);
  }

  /** Time passes; the nodes that live show it, and do what falls due. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1000) {
      this.#nowMs += Math.min(1000, ms - passed);
      for (let round = 0; round < 2; round++) {
        await Promise.all(Array.from(this.#nodes.values(), (node) => node.swept()));
      }
    }
  }

  async remove(): Promise<void> {
    for (const { server, store } of this.#nodes.values()) {
      await server.stop();
      await store.close();
    }
  }
}
