/** One message on its way to an endpoint. */
export interface PushRequest {
  readonly endpoint: string; // a URL
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** From now until the status of the answer must be there. */
  readonly timeoutMs: number;
}

/**
 * What became of it, in the words of the metric `subscription/push_request_count` of Cloud Monitoring, and two of our
 * own: `denied`, the egress policy forbids the address; `cut`, we called it off ourselves. Only `ack` is a success.
 */
export type ResponseClass =
  | 'ack'
  | 'deadline_exceeded'
  | 'invalid'
  | 'remote_server_4xx'
  | 'remote_server_5xx'
  | 'unreachable'
  | 'internal'
  | 'denied'
  | 'cut';

export interface PushOutcome {
  readonly class: ResponseClass;
  /** In a few words: the status, or why there is none. */
  readonly detail: string;
}

/** How a push reaches its endpoint. */
export interface PushSender {
  /** Never rejects. @param signal calls it off: the outcome is `cut` unless there is one already. */
  send(request: PushRequest, signal: AbortSignal): Promise<PushOutcome>;
  /** Cuts every connection. */
  close(): void;
}
