import { invalidArgument } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';

/**
 * Google's "system parameters" (cloud.google.com/apis/docs/system-parameters), which its clients add to any request:
 * credentials, quota, tracing and layout of the reply. None of them changes what a method does.
 */
const systemParameters = new Set([
  '$.xgafv',
  'access_token',
  'fields',
  'key',
  'oauth_token',
  'prettyPrint',
  'quotaUser',
  'trace',
  'uploadType',
  'upload_protocol',
  '$prettyPrint',
  '$fields',
  '$userProject',
  'userProject',
]);

/**
 * The parameters of a query that a method itself knows, still as text.
 * @throws PubSubError INVALID_ARGUMENT one given twice, or a reply asked for in anything but JSON.
 */
export function parseQuery(query: string): Readonly<Record<string, string>> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'alt' || name === '$alt') checkAlt(value);
    else if (systemParameters.has(name)) continue;
    else if (parameters.has(name)) throw invalidArgument(`The query parameter ${quote(name)} is given twice.`);
    else parameters.set(name, value);
  }
  return Object.fromEntries(parameters);
}

/** `json;enum-encoding=int` is what Google's REST clients say; JSON readers take enums by name as well. */
function checkAlt(value: string): void {
  if (value.split(';', 1)[0] === 'json') return;
  throw invalidArgument(`alt=${quote(value)} is not served; replies are always JSON (alt=json).`);
}
