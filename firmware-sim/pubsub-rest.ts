/** What a pull hands out. */
export interface PulledMessage {
  readonly ackId: string;
  readonly message: {
    readonly data?: string; // base64
    readonly attributes?: Readonly<Record<string, string>>;
    readonly messageId: string;
  };
}

/** The server answered with an error status, or not at all (`status` 0). */
export class RestError extends Error {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }

  /** This client ended the request, not the server or the network. */
  get gaveUpWaiting(): boolean {
    return this.cause instanceof Error && this.cause.name === 'AbortError';
  }

  /** Worth another try: no connection, overload, a server that is starting. Anything else will fail again. */
  get transient(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** How long one request may take. */
const requestTimeoutMs = 15_000;

/** One subscription over the Pub/Sub REST v1 API. Every method makes one request. @throws RestError */
export class SubscriptionRest {
  readonly #path: string;
  readonly #base: string;

  /** @param name `projects/{project}/subscriptions/{id}` */
  constructor(baseUrl: string, name: string) {
    this.#base = `${baseUrl}/v1/`;
    this.#path = name;
  }

  async create(body: unknown): Promise<void> {
    await this.#request('PUT', this.#path, body);
  }

  async delete(): Promise<void> {
    await this.#request('DELETE', this.#path);
  }

  /** Empty when the server had nothing for as long as it, or this client, cared to wait. */
  async pull(maxMessages: number, signal: AbortSignal): Promise<readonly PulledMessage[]> {
    try {
      const reply = await this.#request('POST', `${this.#path}:pull`, { maxMessages }, signal);
      return (reply as { receivedMessages?: PulledMessage[] }).receivedMessages ?? [];
    } catch (error) {
      if (error instanceof RestError && error.gaveUpWaiting) return [];
      throw error;
    }
  }

  async acknowledge(ackIds: readonly string[]): Promise<void> {
    await this.#request('POST', `${this.#path}:acknowledge`, { ackIds });
  }

  async #request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    // Not AbortSignal.any: on a signal that lives as long as the run it would gather one entry per request.
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const timer = setTimeout(abort, requestTimeoutMs);
    signal?.addEventListener('abort', abort);
    const init = { method, headers: { 'content-type': 'application/json' }, signal: controller.signal };
    try {
      const response = await fetch(
        this.#base + path,
        body === undefined ? init : { ...init, body: JSON.stringify(body) },
      );
      const text = await response.text();
      if (!response.ok) throw new RestError(response.status, explain(method, path, response.status, text));
      return JSON.parse(text || '{}');
    } catch (error) {
      if (error instanceof RestError) throw error;
      throw new RestError(0, `${method} ${path} got no answer: ${reasonOf(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }
}

/** Google's error envelope if there is one, else the start of whatever came. */
function explain(method: string, path: string, status: number, text: string): string {
  let message = text.slice(0, 200);
  try {
    message = (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    // Not an envelope: the text itself says more than a parse error would.
  }
  return `${method} ${path} was answered with ${status}: ${message}`;
}

/** fetch says "fetch failed" and keeps what happened in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message;
}
