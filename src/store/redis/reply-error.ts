import { Unavailable } from './link.ts';

/** A server's refusal, by the first word of its answer: whether it passes by itself, and what to do. */
const refusals: Record<string, { readonly transient: boolean; readonly say: string }> = {
  OOM: { transient: false, say: 'is out of memory: raise maxmemory, or let messages expire sooner' },
  MISCONF: {
    transient: false,
    say: 'cannot save to its disk and therefore takes no writes: see its log, make room or mend the disk',
  },
  NOREPLICAS: {
    transient: false,
    say: 'has fewer replicas in step than min-replicas-to-write asks for: bring them back',
  },
  NOAUTH: { transient: false, say: 'wants a password: put it into the URL of the store' },
  WRONGPASS: { transient: false, say: 'refuses the user or password in the URL of the store: correct them' },
  NOPERM: {
    transient: false,
    say: 'does not let this user do that: grant it all keys, channels and commands under the prefix',
  },
  READONLY: {
    transient: true,
    say: 'is a replica and takes no writes: name the master, or use redis-sentinel:// to follow it',
  },
  LOADING: { transient: true, say: 'is still loading its data: it answers when it has' },
  MASTERDOWN: { transient: true, say: 'is a replica without its master: bring that back' },
  BUSY: { transient: true, say: 'is busy with a long script: it answers when that has ended' },
  UNBLOCKED: { transient: true, say: 'has just changed its role: try again' },
  CLUSTERDOWN: { transient: true, say: 'belongs to a cluster that is down: bring its masters back' },
  TRYAGAIN: { transient: true, say: 'is moving the keys asked for to another: try again' },
  MOVED: { transient: true, say: 'is part of a cluster: use redis-cluster://' },
  ASK: { transient: true, say: 'is part of a cluster: use redis-cluster://' },
  CROSSSLOT: { transient: false, say: 'is part of a cluster: use redis-cluster://' },
};

/** What a server answered instead of doing what it was asked; its first word tells which kind. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** `MOVED`, `NOSCRIPT`, `ERR`… */
  readonly word: string;

  constructor(message: string) {
    super(message);
    this.word = message.split(' ', 1)[0]!;
  }
}

/** In words for users. A refusal that is not listed is a bug of ours and stays what it is. */
export function unavailable(server: string, refusal: Refusal): Error {
  const known = refusals[refusal.word];
  if (!known) return refusal;
  return new Unavailable(`The Redis server ${server} ${known.say}.`, known.transient, { cause: refusal });
}
