import type { IncomingHttpHeaders } from 'node:http';
import { PubSubError } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';

/**
 * A web page of any site can make a browser send a POST to a server on the same machine. It cannot read the answer, but
 * a publish or a detach is done by then. Browsers name the page's origin in such requests, programs name none:
 * requests from pages of another origin are refused.
 * @throws PubSubError PERMISSION_DENIED
 */
export function refuseOtherOrigins({ origin, host }: IncomingHttpHeaders): void {
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return;
  throw new PubSubError(
    'PERMISSION_DENIED',
    `Web pages of ${quote(origin)} may not use this API; use it from a program.`,
  );
}
