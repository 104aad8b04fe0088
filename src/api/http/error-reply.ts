import { type ErrorCode, httpStatusByCode, PubSubError } from '../../domain/errors.ts';
import { DetailedError } from '../detailed-error.ts';

export const jsonType = 'application/json; charset=utf-8';

/** An error as Google's REST APIs answer it. */
export interface ErrorReply {
  readonly status: number;
  readonly body: { readonly error: object };
}

/**
 * @param error a PubSubError, something that Fastify or Node refused, or a bug.
 * @param requestId what the log calls the request, so that a user can ask about a bug.
 */
export function errorReply(error: unknown, requestId: string): ErrorReply {
  if (error instanceof PubSubError) return replyOf(error.code, error.message, detailsOf(error));
  if (isClientError(error)) return replyOf('INVALID_ARGUMENT', error.message);
  return replyOf('INTERNAL', `The server failed; its log says more about request ${requestId}.`);
}

/** Whether the server is to blame, so that the log should have it. */
export function isServerFault(error: unknown): boolean {
  return !(error instanceof PubSubError) && !isClientError(error);
}

function replyOf(code: ErrorCode, message: string, details?: object[]): ErrorReply {
  const status = httpStatusByCode[code];
  return { status, body: { error: { code: status, message, status: code, ...(details && { details }) } } };
}

function detailsOf(error: PubSubError): object[] | undefined {
  if (!(error instanceof DetailedError)) return undefined;
  return [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', ...error.info }];
}

/** Fastify's own refusals of a request carry the status that it would answer. */
function isClientError(error: unknown): error is Error {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' && status >= 400 && status < 500;
}
