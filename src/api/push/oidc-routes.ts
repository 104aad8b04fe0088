import type { FastifyInstance } from 'fastify';

export interface Oidc {
  /** What tokens are verified with (RFC 7517). @throws PubSubError UNAVAILABLE */
  publishedKeys(): Promise<object>;
  /** URL of this server: the `iss` of its tokens. */
  readonly issuer: () => string;
}

const keysPath = '/oauth2/v3/certs'; // as at www.googleapis.com
const discoveryPath = '/.well-known/openid-configuration'; // OpenID Connect Discovery 1.0 §4
const keysMaxAgeS = 3600; // who meets a key that it does not know asks again at once

/** Where endpoints find the keys that push requests are signed with. Public, as such keys are. */
export function serveOidc(app: FastifyInstance, { publishedKeys, issuer }: Oidc): void {
  app.get(keysPath, async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${keysMaxAgeS}`);
    return publishedKeys();
  });
  app.get(discoveryPath, async () => ({
    issuer: issuer(),
    jwks_uri: new URL(keysPath, issuer()).href,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    claims_supported: ['aud', 'azp', 'email', 'email_verified', 'exp', 'iat', 'iss', 'sub'],
  }));
}
