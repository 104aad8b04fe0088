import { expect, it } from 'vitest';
import { serverUnderTest } from '../support/server-under-test.ts';
import { tempDirectory } from '../support/temp-directory.ts';

it('stories - a second process on the same data directory is refused, and the lock dies with its owner (I10)', async () => {
  const dataDir = tempDirectory();
  const first = await serverUnderTest({ dataDir });
  await expect(serverUnderTest({ dataDir })).rejects.toThrow(/Another Headwater uses the data directory .*stop it/);
  await first.kill();
  const next = await serverUnderTest({ dataDir });
  expect(await next.stop()).toBe(0);
});
