import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory of its own under the system's temporary one; short, because a Unix socket goes into it. */
export function makeTempDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'hw-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The same, removed when the test ends. */
export function tempDirectory(): string {
  const { path, remove } = makeTempDirectory();
  onTestFinished(remove);
  return path;
}
