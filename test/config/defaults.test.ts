import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { httpLimitsDefault } from '../../src/api/http/http-limits.ts';
import { flagOf, settingKeys, settingOf, settings, variableOf } from '../../src/config/settings.ts';
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
    ['topicPartitions', defaultBounds.topicPartitions],
  ];
  for (const [key, bound] of bounds) {
    it(`config - ${key} has the default of the part that it bounds`, () => expect(settings[key].fallback).toBe(bound));
  }

  it('config - a pull may not be told to wait longer than a silent connection lives', () => {
    const allowed = settings.pullWaitMs.kind.fromText(String(httpLimitsDefault.silenceTimeoutMs));
    expect(allowed).toBeUndefined();
  });

  it('config - the README has a row for every setting, and for nothing else', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const rows = readme.split('\n').filter((line) => line.startsWith('| `--'));
    const starts = settingKeys.map((key) => {
      const { kind, fallback, fallbackText } = settingOf(key);
      const shown = fallback === undefined ? fallbackText : `\`${kind.show(fallback)}\``;
      return `| \`${flagOf(key)}\` | \`${variableOf(key)}\` | ${key === 'config' ? '–' : `\`${key}\``} | ${shown} |`;
    });
    expect(rows.map((row, i) => row.slice(0, starts[i]?.length))).toEqual(starts);
    const ends = settingKeys.map((key) => `| ${settingOf(key).help} |`);
    expect(rows.map((row, i) => row.slice(-(ends[i]?.length ?? 0)))).toEqual(ends);
  });

  it('config - every default is a value that is allowed', () => {
    for (const { kind, fallback } of Object.values(settings)) {
      if (fallback !== undefined) expect(kind.fromText(String(fallback))).toBe(fallback);
    }
  });
});
