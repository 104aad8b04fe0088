import { PubSubError } from '../domain/errors.ts';

// The sentences that several doors give for the same thing.

export function noTopic(name: string): PubSubError {
  return new PubSubError('NOT_FOUND', `There is no topic ${name}; create it first.`);
}

export function noSubscription(name: string): PubSubError {
  return new PubSubError('NOT_FOUND', `There is no subscription ${name}; create it first.`);
}

export function noSnapshot(name: string): PubSubError {
  return new PubSubError('NOT_FOUND', `There is no snapshot ${name}; it may have expired.`);
}

export function isDetached(name: string): PubSubError {
  return new PubSubError(
    'FAILED_PRECONDITION',
    `The subscription ${name} is detached from its topic; create another one.`,
  );
}

export function isPushed(name: string): PubSubError {
  return new PubSubError(
    'FAILED_PRECONDITION',
    `The subscription ${name} pushes its messages to an endpoint; pull from another one, or empty its push_config first.`,
  );
}
