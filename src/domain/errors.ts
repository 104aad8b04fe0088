/** Canonical codes (google.rpc.Code names) and the HTTP status that each is answered with. */
export const httpStatusByCode = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  INTERNAL: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
} as const;

export type ErrorCode = keyof typeof httpStatusByCode;

/**
 * Something a caller can act on: the message says what was wrong, what is allowed and what to do.
 * A bug is any other Error: let it surface loudly.
 */
export class PubSubError extends Error {
  override readonly name = 'PubSubError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The most common refusal, named so that the rules read as sentences. */
export function invalidArgument(message: string): PubSubError {
  return new PubSubError('INVALID_ARGUMENT', message);
}
