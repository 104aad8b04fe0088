import { invalidArgument } from './errors.ts';
import { quote } from './quote.ts';

/** google.pubsub.v1 PushConfig of a subscription that pushes. An empty PushConfig is no PushConfig: messages are pulled. */
export interface PushConfig {
  /** As it was given, and so the default audience; https, or http where the operator allows it. */
  readonly endpoint: string;
  /** `x-goog-version`: both names stand for the one format there is. Absent: v1. */
  readonly version?: PushVersion;
  readonly oidc?: OidcToken;
  /** Absent: the message comes wrapped, as with `pubsub`. */
  readonly wrapper?: PushWrapper;
}

export type PushVersion = 'v1' | 'v1beta2';

/** google.pubsub.v1 PushConfig.OidcToken */
export interface OidcToken {
  readonly serviceAccountEmail: string;
  /** Absent: the endpoint. */
  readonly audience?: string;
}

/** PubsubWrapper: JSON around the message. NoWrapper: its data is the body, its attributes are headers if asked for. */
export type PushWrapper = { readonly kind: 'pubsub' } | { readonly kind: 'none'; readonly writeMetadata: boolean };

export const pushVersionDefault: PushVersion = 'v1';
const endpointCharactersMax = 2048;
const emailCharactersMax = 320; // RFC 5321 §4.5.3.1: 64 + 1 + 255
const audienceCharactersMax = 2048;

/** @throws PubSubError INVALID_ARGUMENT: which field, and what is allowed. */
export function checkPushConfig({ endpoint, oidc }: PushConfig): void {
  checkPushEndpoint(endpoint);
  if (!oidc) return;
  const { serviceAccountEmail, audience } = oidc;
  if (serviceAccountEmail === '') {
    throw invalidArgument('push_config.oidc_token has no service_account_email; name the account that pushes.');
  }
  if (!/^[^\s@]+@[^\s@]+$/.test(serviceAccountEmail) || serviceAccountEmail.length > emailCharactersMax) {
    throw invalidArgument(
      `push_config.oidc_token.service_account_email ${quote(serviceAccountEmail)} is not an email address.`,
    );
  }
  if (audience !== undefined && audience.length > audienceCharactersMax) {
    throw invalidArgument(
      `push_config.oidc_token.audience has ${audience.length} characters; at most ${audienceCharactersMax} are allowed.`,
    );
  }
}

function checkPushEndpoint(endpoint: string): void {
  const problem = endpointProblem(endpoint);
  if (!problem) return;
  throw invalidArgument(
    `push_config.push_endpoint ${quote(endpoint)} ${problem}; give a URL such as https://example.com/push.`,
  );
}

function endpointProblem(endpoint: string): string | undefined {
  if (endpoint.length > endpointCharactersMax) return `has more than ${endpointCharactersMax} characters`;
  if (!URL.canParse(endpoint)) return 'is not a URL';
  const { protocol, username, password } = new URL(endpoint);
  if (protocol !== 'https:' && protocol !== 'http:') return 'is neither https nor http';
  if (username !== '' || password !== '') return 'holds credentials, which would be shown to everybody who can list';
  if (endpoint.includes('#')) return 'has a fragment, which is never sent';
  return undefined;
}

/** A configuration that names no version keeps the one before (google.pubsub.v1 PushConfig.attributes). */
export function withVersionOf(current: PushConfig | undefined, wanted: PushConfig): PushConfig {
  return wanted.version === undefined && current?.version ? { ...wanted, version: current.version } : wanted;
}
