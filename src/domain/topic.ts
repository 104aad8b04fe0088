/** google.pubsub.v1 Topic, in Headwater's own terms: durations in ms, absent means unset. */
export interface Topic {
  readonly name: string; // projects/{project}/topics/{topic}
  readonly labels: Readonly<Record<string, string>>;
  readonly messageRetentionMs?: number; // 10 min..31 d
}

/** What a subscription names when its topic was deleted (google.pubsub.v1 Subscription.topic). */
export const deletedTopic = '_deleted-topic_';
