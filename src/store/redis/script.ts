import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A file of `scripts/`, with what it includes. Its content hash is its name on the server. */
export interface Script {
  readonly name: string;
  readonly lua: string;
  readonly sha: string;
  /** From its header, one line `-- KEYS[n] …` each; checked on every call, so the header cannot lie. */
  readonly keyCount: number;
}

/**
 * Reads `scripts/<name>.lua`. A line `-- INCLUDE <file>` is replaced by that file: Redis scripts cannot require each other.
 * @throws the system's error when there is no such file.
 */
export function loadScript(name: string): Script {
  const lua = read(name).replace(/^-- INCLUDE (\S+?)(?:\.lua)?$/gm, (_, included: string) => read(included));
  const sha = createHash('sha1').update(lua).digest('hex');
  return { name, lua, sha, keyCount: lua.match(/^-- KEYS\[\d+\]/gm)?.length ?? 0 };
}

function read(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}
