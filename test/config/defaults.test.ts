import { describe, expect, it } from 'vitest';
import { httpLimitsDefault } from '../../src/api/http/http-limits.ts';
import { settings } from '../../src/config/settings.ts';
import { defaultMqttLimits } from '../../src/mqtt/limits.ts';
import { defaultBounds } from '../../src/pubsub/bounds.ts';

describe('config - the help tells the truth', () => {
  const bounds: readonly [key: keyof typeof settings, bound: number][] = [
    ['mqttConnectionsMax', defaultMqttLimits.connectionsMax],
    ['mqttPacketBytesMax', defaultMqttLimits.packetBytesMax],
    ['mqttInflightMax', defaultMqttLimits.inflightMax],
    ['mqttOutboundBytesMax', defaultMqttLimits.outboundBytesMax],
    ['mqttQos0BytesMax', defaultMqttLimits.qos0BytesMax],
    ['mqttStoreDeadlineMs', defaultMqttLimits.storeDeadlineMs],
    ['mqttSessionsMax', defaultMqttLimits.sessionsMax],
    ['mqttSessionQueueBytesMax', defaultMqttLimits.sessionQueueBytesMax],
    ['mqttRetainedBytesMax', defaultMqttLimits.retainedBytesMax],
    ['httpConnectionsMax', httpLimitsDefault.connectionsMax],
    ['pullWaitMs', httpLimitsDefault.pullWaitMs],
    ['logCacheBytesMax', defaultBounds.logCacheBytesMax],
    ['retentionSweepMs', defaultBounds.retentionSweepMs],
  ];
  for (const [key, bound] of bounds) {
    it(`config - ${key} has the default of the part that it bounds`, () => expect(settings[key].fallback).toBe(bound));
  }

  it('config - a pull may not be told to wait longer than a silent connection lives', () => {
    const allowed = settings.pullWaitMs.kind.fromText(String(httpLimitsDefault.silenceTimeoutMs));
    expect(allowed).toBeUndefined();
  });

  it('config - every default is a value that is allowed', () => {
    for (const { kind, fallback } of Object.values(settings)) {
      if (fallback !== undefined) expect(kind.fromText(String(fallback))).toBe(fallback);
    }
  });
});
