import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

// Where LMDB's two meta pages say what they are (MDB_page and MDB_meta of the lmdb package's own LMDB, 64 bit).
const magicAt = 24;
const magic = 0xbeefc0de;
const pageSizeAt = 48;
const headBytes = 52;

/**
 * LMDB maps its file into memory: one that is no LMDB file would end the process without a word. This looks at the two
 * meta pages only. A file that was cut off further behind is not recognised: after a kill the last page that the meta
 * page names may rightly lie past the end of the file.
 * @throws Error one sentence, when the file is not a store.
 */
export function checkDataFile(path: string): void {
  if (!existsSync(path)) return;
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const pageSize = pageSizeOf(file, 0);
    if (size === 0 || (pageSize !== undefined && pageSizeOf(file, pageSize) === pageSize)) return;
  } finally {
    closeSync(file);
  }
  throw new Error(
    `The store ${path} is damaged or incomplete: restore it from a backup, or choose another --data-dir.`,
  );
}

function pageSizeOf(file: number, metaAt: number): number | undefined {
  const head = Buffer.alloc(headBytes);
  const bytes = readSync(file, head, 0, headBytes, metaAt);
  return bytes === headBytes && head.readUInt32LE(magicAt) === magic ? head.readUInt32LE(pageSizeAt) : undefined;
}
