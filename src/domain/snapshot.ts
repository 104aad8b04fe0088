/** google.pubsub.v1 Snapshot: the acked state of a subscription at one moment. */
export interface Snapshot {
  readonly name: string; // projects/{project}/snapshots/{snapshot}
  readonly topic: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly expireMs: number; // Unix epoch
}
