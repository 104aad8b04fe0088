import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { serverUnderTest } from '../support/server-under-test.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const declared = (retention: string, ackDeadlineSeconds = 20) => `
topics:
  - name: projects/headwater/topics/site-berlin
    messageRetentionDuration: ${retention}
subscriptions:
  - name: projects/headwater/subscriptions/berlin
    topic: projects/headwater/topics/site-berlin
    ackDeadlineSeconds: ${ackDeadlineSeconds}
`;

it('stories - what the file declares is created once; a later change is told, not taken silently (I9)', async () => {
  const directory = tempDirectory();
  const file = join(directory, 'headwater.yaml');
  const start = (text: string) => {
    writeFileSync(file, text);
    return serverUnderTest({ dataDir: directory, args: ['--config', file] });
  };
  const first = await start(declared('86400s'));
  expect(first.log.join()).toMatch(/subscriptions\/berlin.*"msg":"created"/);
  await first.stop();
  const same = await start(declared('86400s'));
  expect(same.log.join()).not.toMatch(/another definition|"msg":"created"/);
  await same.stop();
  const changed = await start(declared('7200s'));
  expect(changed.log.join()).toMatch(/site-berlin.*yaml:3 topics\[0\].*another definition, which stays/);
  const topic = await fetch(`${changed.httpUrl}/v1/projects/headwater/topics/site-berlin`);
  expect(await topic.json()).toMatchObject({ messageRetentionDuration: '86400s' });
  await changed.stop();
});

it('stories - a declaration that is not allowed stops the start and names its place in the file (I9)', async () => {
  const directory = tempDirectory();
  const file = join(directory, 'headwater.yaml');
  writeFileSync(file, declared('86400s', 5));
  const start = serverUnderTest({ dataDir: directory, args: ['--config', file] });
  await expect(start).rejects.toThrow(/yaml:6 subscriptions\[0\]: ack_deadline_seconds is 5s; it must be between/);
});
