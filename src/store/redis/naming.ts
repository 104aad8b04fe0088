import { PubSubError } from '../../domain/errors.ts';
import type { LogRef } from '../store.ts';

/*
 * HOW NAMES ARE MADE AND UNMADE. A name lives in the catalogue's slot, what it names in the slots of the partitions, and
 * no script reaches both. So every change has an order in which a crash between two steps leaves nothing that lies, and
 * in which the same call, made again, completes it:
 *
 *     create   what it names first, the name last. Left over: state that has no name and that nobody asks for.
 *     delete   what it names first, the name last. Left over: a name whose logs take nothing, or whose state is gone, on
 *              every node; deleting it again completes it.
 *     grow     the fence first (appends placed among fewer partitions are refused everywhere), then the new logs with
 *              every subscription's state from their first offset, the number last. Left over: a fence higher than the
 *              number; whoever is refused by it completes the growth.
 *
 * The catalogue's scripts check what the first steps were based on and answer `again` when it has changed meanwhile; the
 * whole change then starts again.
 */

const triesMax = 20;

/** Repeats a change until nobody else changed the same topic meanwhile. @param change undefined: try again */
export async function untilSettled<T>(topic: string, change: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < triesMax; tries++) {
    const done = await change();
    if (done !== undefined) return done;
  }
  throw new PubSubError('UNAVAILABLE', `Others keep changing ${topic}; try again.`);
}

/** Of the partitions `from` to `to`, the last one not included. */
export function logsOf(topicId: string, from: number, to: number): LogRef[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ topicId, partition: from + i }));
}

/** All of them are over when it returns, and the first failure, if any, is thrown. */
export async function onEach<T>(logs: readonly LogRef[], work: (log: LogRef) => Promise<T>): Promise<T[]> {
  const settled = await Promise.allSettled(logs.map(work));
  return settled.map((it) => {
    if (it.status === 'rejected') throw it.reason;
    return it.value;
  });
}

export function isNotFound(error: unknown): boolean {
  return error instanceof PubSubError && error.code === 'NOT_FOUND';
}

export function notFound(noun: string, name: string): PubSubError {
  return new PubSubError('NOT_FOUND', `There is no ${noun} ${name}.`);
}

export function alreadyExists(noun: string, name: string): PubSubError {
  return new PubSubError('ALREADY_EXISTS', `There is already a ${noun} ${name}; choose another name or update it.`);
}
