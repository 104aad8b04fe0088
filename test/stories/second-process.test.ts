import { expect, it } from 'vitest';
import { startServer } from '../support/start-server.ts';
import { tempDirectory } from '../support/temp-directory.ts';

it('stories - a second process on the same data directory is refused, and the lock dies with its owner (I10)', async () => {
  const dataDir = tempDirectory();
  const first = await startServer({ dataDir });
  await expect(startServer({ dataDir })).rejects.toThrow(/Another Headwater uses the data directory .*stop it/);
  await first.kill();
  const next = await startServer({ dataDir });
  expect(await next.stop()).toBe(0);
});
