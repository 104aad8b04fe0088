import type { ModelName } from './sensor-models.ts';

/** One run, as asked for on the command line. */
export interface SimulationOptions {
  readonly devices: number;
  readonly ratePerS: number; // per device
  readonly durationMs: number;
  readonly qos: 0 | 1 | 2;
  readonly seed: number;
  readonly url: MqttUrl;
  /** Base URL of the Pub/Sub REST API; undefined: nothing is verified. */
  readonly verify: string | undefined;
  readonly project: string;
  readonly pubsubTopic: string;
  /** MQTT topic with `{deviceId}` and `{model}` in it. */
  readonly topic: string;
  readonly mqttVersion: 4 | 5;
  readonly models: readonly ModelName[];
  readonly flaky: number;
  readonly stormEveryMs: number;
  readonly offlineForMs: number;
  readonly offlineBufferMax: number;
  readonly inflightMax: number;
  readonly runId: string;
  /** How long to try to reach the server before anything is sent. */
  readonly connectMs: number;
  /** How long to wait without progress for what is still to come. */
  readonly drainMs: number;
  /** What `t` in the payloads counts from, Unix ms. */
  readonly epochMs: number;
  readonly json: boolean;
}

export interface MqttUrl {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}
