import { join } from 'node:path';
import { open } from 'lmdb';
import { makeTempDirectory } from '../support/temp-directory.ts';
import type { Measured } from './report.ts';

/** The raw limit beside which everything is shown: one put a message, 1,000 puts a transaction, fsynced like ours. */
export async function rawLmdbPuts(messages: number, payloadBytes: number): Promise<Measured> {
  const directory = makeTempDirectory();
  const db = open<Buffer, number>({
    path: join(directory.path, 'raw.mdb'),
    overlappingSync: false,
    encoding: 'binary',
  });
  const payload = Buffer.alloc(payloadBytes, 'x');
  const batchMs: number[] = [];
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  for (let key = 0; key < messages; key += 1000) {
    const batchStartMs = performance.now();
    await db.batch(() => {
      for (let i = key; i < key + 1000; i++) void db.put(i, payload);
    });
    batchMs.push(performance.now() - batchStartMs);
  }
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await db.close();
  directory.remove();
  return { messages, seconds, cpuSeconds: (user + system) / 1e6, latenciesMs: batchMs };
}
