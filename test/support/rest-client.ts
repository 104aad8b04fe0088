/** The few calls of the Pub/Sub REST API that the benchmark and the stories make. */
export class RestClient {
  readonly #project: string;

  constructor(httpUrl: string, project = 'headwater') {
    this.#project = `${httpUrl}/v1/projects/${project}`;
  }

  async createSubscription(id: string, topic: string, fields: Record<string, unknown> = {}): Promise<void> {
    const name = topic.startsWith('projects/') ? topic : `projects/headwater/topics/${topic}`;
    await this.#call('PUT', `subscriptions/${id}`, { topic: name, ...fields });
  }

  async modifyPushConfig(id: string, pushConfig: object): Promise<void> {
    await this.#call('POST', `subscriptions/${id}:modifyPushConfig`, { pushConfig });
  }

  async createTopic(id: string): Promise<void> {
    await this.#call('PUT', `topics/${id}`, {});
  }

  async publish(topic: string, messages: readonly { data: string }[]): Promise<string[]> {
    const reply = await this.#call('POST', `topics/${topic}:publish`, { messages });
    return (reply as { messageIds: string[] }).messageIds;
  }

  /** Answers when there is something, or empty after the server's longest wait. */
  async pull(id: string, maxMessages: number, returnImmediately = false): Promise<readonly Received[]> {
    const reply = await this.#call('POST', `subscriptions/${id}:pull`, { maxMessages, returnImmediately });
    return (reply as { receivedMessages?: Received[] }).receivedMessages ?? [];
  }

  async acknowledge(id: string, ackIds: readonly string[]): Promise<void> {
    await this.#call('POST', `subscriptions/${id}:acknowledge`, { ackIds });
  }

  async #call(method: string, path: string, body: unknown): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.#project}/${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

export interface Received {
  readonly ackId: string;
  readonly message: {
    readonly data?: string;
    readonly messageId: string;
    readonly attributes?: Record<string, string>;
    readonly orderingKey?: string;
  };
  readonly deliveryAttempt?: number;
}
