import { minuteMs } from '../domain/duration.ts';

/** Every bound of streaming pull. */
export interface StreamingPullBounds {
  /** Streams that are open at a time; past it RESOURCE_EXHAUSTED. */
  readonly streamsMax: number;
  /** Messages and bytes that a stream may have out when its client sets no limit, or a higher one. */
  readonly streamMessagesMax: number;
  readonly streamBytesMax: number;
  /** Messages and bytes of one response. */
  readonly responseMessagesMax: number;
  readonly responseBytesMax: number;
  /** Messages of one response while a subscription has several streams, so that each gets its share of a burst. */
  readonly sharedResponseMessagesMax: number;
  /** After about so long, give or take a tenth, a stream ends with UNAVAILABLE and its client opens another. */
  readonly streamAgeMsMax: number;
  /** A full stream looks for messages whose deadline has passed not more often than this. */
  readonly expiryLookMs: number;
}

export const defaultStreamingPullBounds: StreamingPullBounds = {
  streamsMax: 10_000,
  streamMessagesMax: 50_000,
  streamBytesMax: 1024 * 1024 * 1024,
  responseMessagesMax: 1000,
  responseBytesMax: 1024 * 1024,
  sharedResponseMessagesMax: 100,
  streamAgeMsMax: 30 * minuteMs,
  expiryLookMs: 50,
};
