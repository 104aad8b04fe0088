import type { AckResult } from './pubsub.ts';

/** Ack ids by what became of them (AcknowledgeConfirmation, ModifyAckDeadlineConfirmation). */
export interface Confirmation {
  readonly ok: string[];
  readonly invalid: string[];
  readonly unordered: string[];
  /** The store did not answer: try again. */
  readonly failed: string[];
}

const none = (): Confirmation => ({ ok: [], invalid: [], unordered: [], failed: [] });

/** @param results one for each ack id, in order */
export function confirmationOf(ackIds: readonly string[], results: readonly AckResult[]): Confirmation {
  const confirmation = none();
  ackIds.forEach((ackId, i) => {
    confirmation[results[i]!].push(ackId);
  });
  return confirmation;
}

export function merged(confirmations: readonly Confirmation[]): Confirmation {
  const all = none();
  for (const each of confirmations) {
    for (const kind of ['ok', 'invalid', 'unordered', 'failed'] as const) all[kind].push(...each[kind]);
  }
  return all;
}

/** What a store that does not answer makes of them. */
export function failedConfirmation(ackIds: readonly string[]): Confirmation {
  return { ...none(), failed: [...ackIds] };
}
