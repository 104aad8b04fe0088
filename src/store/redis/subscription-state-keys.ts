import type { LogRef } from '../store.ts';
import type { Keys } from './keys.ts';

/** The keys of a subscription or snapshot on one partition, and `m` of its log; the scripts' headers say what is in them. */
export type StateKeys = Readonly<Record<'m' | 's' | 'b' | 'z' | 'o' | 'k' | 'q' | 'p' | 'a', string>>;

/** @param id of the subscription or snapshot */
export function stateKeys(keys: Keys, log: LogRef, id: string): StateKeys {
  const partition = keys.partition(log);
  const of = (what: string) => partition.of(what, id);
  return {
    m: partition.meta,
    s: of('s'),
    b: of('b'),
    z: of('z'),
    o: of('o'),
    k: of('k'),
    q: of('q'),
    p: of('p'),
    a: of('a'),
  };
}
