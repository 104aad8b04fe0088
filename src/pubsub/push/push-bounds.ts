import { minuteMs, secondMs } from '../../domain/duration.ts';

/** Every bound of push delivery. */
export interface PushBounds {
  /** Subscriptions that this node pushes; past it a further one is left to other nodes, with a warning and a counter. */
  readonly pushSubscriptionsMax: number;
  /** Requests under way on this node; past it messages wait for a turn, those of the subscriptions with few out first. */
  readonly pushRequestsMax: number;
  /** Messages leased for pushing on this node, in bytes; each subscription may go one message past its share. */
  readonly pushBytesMax: number;
  /** Messages leased for pushing of one subscription; past it nothing more is leased. */
  readonly pushMessagesMax: number;
  /** Requests of one subscription under way at first, and at most. */
  readonly pushWindowStart: number;
  readonly pushWindowMax: number;
  /** An answer that takes longer makes the window smaller (cloud.google.com/pubsub/docs/push: a second). */
  readonly pushSlowMs: number;
  /** So many failures without a success between them, and the subscription rests. */
  readonly pushFailuresBeforeRest: number;
  /** How long; doubles with each round of requests that fails. */
  readonly pushBackOffMsMin: number;
  readonly pushBackOffMsMax: number;
  /** A lease outlasts the request by this much, so that nobody else has the message before the request is settled. */
  readonly pushLeaseMarginMs: number;
  /** Before another try after an error of our own store. */
  readonly pushRestMs: number;
  /** How often all subscriptions are looked through for what the catalog's word may have missed. */
  readonly pushScanMs: number;
  readonly pushScanPageSize: number;
  /** Tokens kept for further requests; past it the oldest is signed anew. */
  readonly pushTokensMax: number;
}

export const defaultPushBounds: PushBounds = {
  pushSubscriptionsMax: 10_000,
  pushRequestsMax: 1000,
  pushBytesMax: 64 * 1024 * 1024,
  pushMessagesMax: 1000,
  pushWindowStart: 4,
  pushWindowMax: 100,
  pushSlowMs: secondMs,
  pushFailuresBeforeRest: 3,
  pushBackOffMsMin: 100,
  pushBackOffMsMax: 60 * secondMs,
  pushLeaseMarginMs: 5 * secondMs,
  pushRestMs: secondMs,
  pushScanMs: minuteMs,
  pushScanPageSize: 1000,
  pushTokensMax: 1000,
};
