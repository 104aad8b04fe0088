import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { defaultMqttLimits, type MqttLimits } from '../../../src/mqtt/limits.ts';
import { type MqttServer, type MqttServerOptions, openMqttServer } from '../../../src/mqtt/mqtt-server.ts';
import type { MqttState, MqttStateLimits } from '../../../src/store/store.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { Disk } from './disk.ts';
import { accepted, type ConnectFields, connect } from './packets.ts';
import { RawClient } from './raw-client.ts';
import { RecordingUplink } from './recording-uplink.ts';

export interface TestServerOptions extends Partial<Omit<MqttServerOptions, 'limits' | 'state' | 'uplink'>> {
  readonly limits?: Partial<MqttLimits>;
  /** Where the state is; absent: on a disk that goes when the server stops. */
  readonly disk?: { state(limits: MqttStateLimits): MqttState };
  readonly uplink?: RecordingUplink;
}

/** A real server on a free port of 127.0.0.1, and clients for it; `stop` ends them all. */
export class TestServer {
  readonly server: MqttServer;
  readonly port: number;
  readonly uplink: RecordingUplink;
  readonly #own: Disk | undefined;
  readonly #raw: RawClient[] = [];
  readonly #clients: MqttClient[] = [];

  private constructor(server: MqttServer, port: number, uplink: RecordingUplink, own: Disk | undefined) {
    this.server = server;
    this.port = port;
    this.uplink = uplink;
    this.#own = own;
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const { uplink = new RecordingUplink(), clock = Date.now, disk, ...rest } = options;
    const own = disk ? undefined : await Disk.open(clock);
    const limits = { closeLingerMs: 200, sweepMs: 20, ...options.limits };
    const server = await openMqttServer({
      logger: createLogger('silent'),
      ...rest,
      clock,
      uplink,
      state: (disk ?? own!).state({ ...defaultMqttLimits, ...limits }),
      limits,
    });
    const { port } = await server.listenTcp({ host: '127.0.0.1', port: 0 });
    return new TestServer(server, port, uplink, own);
  }

  async raw(): Promise<RawClient> {
    const client = await RawClient.open(this.port);
    this.#raw.push(client);
    return client;
  }

  /** A raw client past its CONNACK; MQTT 3.1.1 unless the fields say otherwise. */
  async rawConnected(clientId: string, fields: ConnectFields = {}): Promise<RawClient> {
    const client = await this.raw();
    client.send(connect(clientId, fields));
    const connack = await client.next();
    const code = connack?.[3];
    if (code !== 0) throw new Error(`CONNACK ${connack?.toString('hex') ?? 'missing'}, wanted ${accepted}`);
    return client;
  }

  async mqtt(options: IClientOptions = {}): Promise<MqttClient> {
    const { protocol = 'mqtt', port = this.port, path = '' } = options;
    const client = await connectAsync(`${protocol}://127.0.0.1:${port}${path}`, { reconnectPeriod: 0, ...options });
    this.#clients.push(client);
    return client;
  }

  async stop(deadlineMs = 100): Promise<void> {
    for (const client of this.#clients) client.end(true);
    for (const client of this.#raw) client.socket.destroy();
    await this.server.close(deadlineMs);
    await this.#own?.remove();
  }
}
