import { minuteMs, secondMs } from '../domain/duration.ts';

/** Every bound of the Pub/Sub core; the README's table explains the ones that operators may want to change. */
export interface PubSubBounds {
  /** Log batches kept in memory for all subscriptions together, with what keeping them costs. */
  readonly logCacheBytesMax: number;
  /** Bytes asked of the store at a time when the cache has not got a batch. */
  readonly logReadBytesMax: number;
  /** Of a topic that is made without saying how many. */
  readonly topicPartitions: number;
  /** How often a publish is placed again when the topic grew meanwhile; past it UNAVAILABLE. */
  readonly placementTriesMax: number;
  /** Rest before a growth that is under way is looked at again. */
  readonly placementRetryMs: number;
  /** Topics whose place in the store is remembered; past it the longest remembered one is looked up anew. */
  readonly topicHandlesMax: number;
  /** Subscriptions whose definition is remembered; past it an idle one is looked up anew. */
  readonly subscriptionHandlesMax: number;
  /** Most messages of one lease, whatever the caller asks for. */
  readonly leaseMessagesMax: number;
  /** Fresh messages that one turn of a lease looks at, when a filter or ordering keys leave few to hand out. */
  readonly scanMessagesMax: number;
  readonly scanBytesMax: number;
  /** Turns that a lease takes before it lets others have the event loop. */
  readonly leaseTurnsMax: number;
  /** Pulls that may wait on one subscription; past it RESOURCE_EXHAUSTED. */
  readonly waitingPullsMax: number;
  /** A waiting pull looks again after this time even when nothing woke it, then after twice as long, up to the most. */
  readonly waitingPullMsMin: number;
  readonly waitingPullMsMax: number;
  /** How coarsely the use of a subscription is noted, for its expiration. */
  readonly touchMs: number;
  /** Dead letters that one step of the sweep forwards. */
  readonly deadLettersMax: number;
  /** How often the sweep looks for what is due. */
  readonly deadLetterSweepMs: number;
  /** A subscription with a dead-letter policy is looked at this often even when nothing of it was seen to expire. */
  readonly deadLetterLookMs: number;
  /** After a failure to forward the next try waits this long, then twice as long, up to the most. */
  readonly deadLetterRetryMsMin: number;
  readonly deadLetterRetryMsMax: number;
  readonly retentionSweepMs: number;
  /** Definitions read from the store at a time. */
  readonly sweepPageSize: number;
  /** How often dedupe keys past their time are let go. */
  readonly dedupeSweepMs: number;
  /** Topics that the log has warned about; past it they are only counted. */
  readonly unreadTopicWarningsMax: number;
}

export const defaultBounds: PubSubBounds = {
  logCacheBytesMax: 16 * 1024 * 1024,
  logReadBytesMax: 256 * 1024,
  topicPartitions: 1,
  placementTriesMax: 20,
  placementRetryMs: 50,
  topicHandlesMax: 10_000,
  subscriptionHandlesMax: 10_000,
  leaseMessagesMax: 1000,
  scanMessagesMax: 4096,
  scanBytesMax: 4 * 1024 * 1024,
  leaseTurnsMax: 4,
  waitingPullsMax: 1000,
  waitingPullMsMin: secondMs,
  waitingPullMsMax: 8 * secondMs,
  touchMs: 60 * minuteMs,
  deadLettersMax: 100,
  deadLetterSweepMs: secondMs,
  deadLetterLookMs: minuteMs,
  deadLetterRetryMsMin: 10 * secondMs,
  deadLetterRetryMsMax: 10 * minuteMs,
  retentionSweepMs: 30 * secondMs,
  sweepPageSize: 1000,
  dedupeSweepMs: 60 * minuteMs,
  unreadTopicWarningsMax: 1000,
};
