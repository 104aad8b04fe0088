import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openStore } from '../../src/store/open-store.ts';
import { tempDirectory } from '../support/temp-directory.ts';

const clock = () => 0;

it('lmdb refuses a file that is no store, or was cut off, with a sentence (I9)', async () => {
  const directory = tempDirectory();
  const file = join(directory, 'headwater.mdb');
  const open = () => openStore({ url: `lmdb:${directory}`, clock });
  await (await open()).close();
  await (await open()).close();
  truncateSync(file, 4096);
  await expect(open()).rejects.toThrow(/damaged or incomplete: restore it/);
  writeFileSync(file, Buffer.alloc(20_000, 'x'));
  await expect(open()).rejects.toThrow(/damaged or incomplete/);
});

it('lmdb says what is wrong with a directory that it cannot use (I9)', async () => {
  const directory = tempDirectory();
  writeFileSync(join(directory, 'file'), '');
  const open = openStore({ url: `lmdb:${join(directory, 'file')}`, clock });
  await expect(open).rejects.toThrow(/The data directory .* cannot be used .*choose another --data-dir/);
});
