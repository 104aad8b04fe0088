import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadPlan, LoadResult } from './mqtt-load.ts';

/** Runs one load in a process of its own. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const child = fork(join(import.meta.dirname, 'mqtt-load.ts'), [JSON.stringify(plan)], {
    execArgv: ['--import', 'tsx'],
  });
  const [result] = await once(child, 'message');
  return result as LoadResult;
}
