import { createHash, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { minuteMs, secondMs } from '../../domain/duration.ts';
import type { OidcToken } from '../../domain/push-config.ts';
import type { SigningKey } from './oidc-keys.ts';

interface Parts {
  readonly keys: { signing(): Promise<SigningKey> };
  /** URL of this server under which its keys are published; the claim `iss`. */
  readonly issuer: () => string;
  readonly clock: () => number;
  readonly pushTokensMax: number;
}

interface KeptToken {
  readonly text: Promise<string>;
  readonly madeMs: number;
}

const signRsa = promisify(sign);
const lifeMs = 60 * minuteMs; // "up to an hour old": cloud.google.com/pubsub/docs/authenticate-push-subscriptions
const reuseMs = 30 * minuteMs; // so that the receiver still has half an hour, whatever its clock says

/**
 * The tokens that go with push requests: RS256 JWTs with the claims of Google's. A signature takes about a
 * millisecond of a core, so one token serves all requests of its account and audience for a while.
 */
export class OidcTokens {
  readonly #parts: Parts;
  readonly #kept = new Map<string, KeptToken>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @throws PubSubError UNAVAILABLE the keys cannot be had. */
  token({ serviceAccountEmail, audience }: OidcToken, endpoint: string): Promise<string> {
    const { clock, issuer } = this.#parts;
    const claims = { aud: audience ?? endpoint, email: serviceAccountEmail, iss: issuer() };
    const key = JSON.stringify(claims);
    const kept = this.#kept.get(key);
    if (kept && clock() - kept.madeMs < reuseMs) return kept.text;
    const text = this.#make(claims);
    this.#keep(key, { text, madeMs: clock() });
    text.catch(() => this.#kept.delete(key));
    return text;
  }

  #keep(key: string, token: KeptToken): void {
    this.#kept.delete(key); // in again at the end: the first one is always the oldest
    this.#kept.set(key, token);
    if (this.#kept.size <= this.#parts.pushTokensMax) return;
    const [oldest] = this.#kept.keys();
    this.#kept.delete(oldest!);
  }

  async #make(claims: { aud: string; email: string; iss: string }): Promise<string> {
    const { kid, privateKey } = await this.#parts.keys.signing();
    const iat = Math.floor(this.#parts.clock() / secondMs);
    const sub = subjectOf(claims.email);
    const payload = { ...claims, azp: sub, sub, email_verified: true, iat, exp: iat + lifeMs / secondMs };
    const signed = `${part({ alg: 'RS256', kid, typ: 'JWT' })}.${part(payload)}`;
    const signature = await signRsa('RSA-SHA256', Buffer.from(signed), privateKey);
    return `${signed}.${signature.toString('base64url')}`;
  }
}

function part(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}

/** Google's accounts have a number that never changes; ours is made of the email. */
function subjectOf(email: string): string {
  return createHash('sha256').update(email).digest().readBigUInt64BE().toString();
}
