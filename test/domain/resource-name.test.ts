import { describe, expect, it } from 'vitest';
import { checkProject, parseResourceName } from '../../src/domain/resource-name.ts';
import { expectRefusal } from '../support/refusal.ts';

describe('resource names', () => {
  it.each(['abc', 'a1-_.~+%', 'A'.repeat(255), 'telemetry'])('resource name - takes the id %s', (id) => {
    expect(parseResourceName('topics', `projects/p/topics/${id}`)).toEqual({ project: 'p', id });
  });

  it.each([
    ['', 'projects/{project}/topics/{topic}'],
    ['telemetry', 'projects/{project}/topics/{topic}'],
    ['projects/p/subscriptions/abc', 'projects/{project}/topics/{topic}'],
    ['projects/p/topics/abc/def', 'projects/{project}/topics/{topic}'],
    ['projects//topics/abc', 'project id ""'],
    ['projects/a b/topics/abc', 'project id "a b"'],
    [`projects/${'p'.repeat(101)}/topics/abc`, '1 to 100'],
    ['projects/p/topics/ab', '3 to 255'],
    [`projects/p/topics/${'a'.repeat(256)}`, '3 to 255'],
    ['projects/p/topics/1abc', 'a letter first'],
    ['projects/p/topics/a b c', 'topic id "a b c"'],
    ['projects/p/topics/a\u0000bc', '"a\\u0000bc"'],
    ['projects/p/topics/google-things', 'reserved'],
  ])('resource name - I9: refuses %j and says %s', async (name, says) => {
    await expectRefusal(() => parseResourceName('topics', name), 'INVALID_ARGUMENT', says);
  });

  it('resource name - names the collection that was wanted', async () => {
    const topic = 'projects/p/topics/abc';
    await expectRefusal(() => parseResourceName('snapshots', topic), 'INVALID_ARGUMENT', 'not a snapshot name');
  });

  it('resource name - cuts a very long name short in the error', async () => {
    await expectRefusal(() => parseResourceName('topics', 'x'.repeat(5000)), 'INVALID_ARGUMENT', '(5000 characters)');
  });

  it('resource name - a project is projects/{project} and nothing else', async () => {
    expect(() => checkProject('projects/example.com:iot-1')).not.toThrow();
    for (const bad of ['p', 'projects/', 'projects/p/', 'projects/p/topics']) {
      await expectRefusal(() => checkProject(bad), 'INVALID_ARGUMENT');
    }
  });
});
