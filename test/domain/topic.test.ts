import { describe, expect, it } from 'vitest';
import { checkTopic, type Topic, updatedTopic } from '../../src/domain/topic.ts';
import { expectRefusal } from '../support/refusal.ts';

const topic: Topic = { name: 'projects/p/topics/telemetry', labels: {} };
const tenMinutes = 600_000;
const thirtyOneDays = 31 * 86_400_000;

describe('topics', () => {
  it('topic - takes its least and its longest retention', () => {
    for (const messageRetentionMs of [tenMinutes, thirtyOneDays]) {
      expect(() => checkTopic({ ...topic, messageRetentionMs })).not.toThrow();
    }
  });

  it.each([tenMinutes - 1, thirtyOneDays + 1, 0, Number.NaN])(
    'topic - I9: refuses a retention of %d ms',
    async (ms) => {
      const says = 'between 600s (10 min) and 2678400s (31 d)';
      await expectRefusal(() => checkTopic({ ...topic, messageRetentionMs: ms }), 'INVALID_ARGUMENT', says);
    },
  );

  it.each([
    [{ Team: 'a' }, '"Team"'],
    [{ '1a': 'a' }, '"1a"'],
    [{ '': 'a' }, '""'],
    [{ ['k'.repeat(64)]: 'a' }, '1 to 63'],
    [{ team: 'A' }, '"A"'],
    [{ team: 'v'.repeat(64) }, 'up to 63'],
    [Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''])), 'at most 64'],
  ])('topic - I9: refuses the labels %j', async (labels, says) => {
    await expectRefusal(() => checkTopic({ ...topic, labels: labels as Topic['labels'] }), 'INVALID_ARGUMENT', says);
  });

  it('topic - takes labels of any script', () => {
    expect(() => checkTopic({ ...topic, labels: { équipe: 'données_1', 部署: '', a: '-' } })).not.toThrow();
  });

  it('topic - an update changes what its mask names and nothing else', () => {
    const wanted = { name: 'projects/p/topics/other', labels: { a: 'b' }, messageRetentionMs: tenMinutes };
    expect(updatedTopic(topic, wanted, ['labels'])).toEqual({ ...topic, labels: { a: 'b' } });
    expect(updatedTopic({ ...topic, messageRetentionMs: tenMinutes }, topic, ['message_retention_duration'])).toEqual(
      topic,
    );
  });

  it.each([
    [[], 'empty', 'labels, message_retention_duration'],
    [['name'], 'name of a topic cannot be changed', ''],
    [['labels', 'colour'], '"colour"', 'allowed are labels, message_retention_duration'],
    [['constructor'], '"constructor"', ''],
  ])('topic - I9: refuses the update mask %j', async (paths, ...says) => {
    await expectRefusal(() => updatedTopic(topic, topic, paths), 'INVALID_ARGUMENT', ...says);
  });

  it('topic - I9: an update cannot break a limit', async () => {
    const wanted = { ...topic, messageRetentionMs: 1 };
    await expectRefusal(
      () => updatedTopic(topic, wanted, ['message_retention_duration']),
      'INVALID_ARGUMENT',
      '0.001s',
    );
  });
});
