import { type ErrorCode, PubSubError } from '../domain/errors.ts';

/** google.rpc.ErrorInfo: why, in a form for programs. */
export interface ErrorInfo {
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An error that tells a client's program more than its code. */
export class DetailedError extends PubSubError {
  readonly info: ErrorInfo;

  constructor(code: ErrorCode, message: string, info: ErrorInfo) {
    super(code, message);
    this.info = info;
  }
}
