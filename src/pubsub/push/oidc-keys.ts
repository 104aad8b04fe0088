import { createPrivateKey, createPublicKey, generateKeyPair, type JsonWebKey, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Table } from '../../store/store.ts';

/** How a key stands in the store. Whoever can read the store can sign as this server. */
export interface StoredSigningKey {
  readonly kid: string;
  readonly privateKeyPem: string; // PKCS #8
}

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

/** RFC 7517 */
export interface JsonWebKeySet {
  readonly keys: readonly JsonWebKey[];
}

interface Parts {
  readonly table: Table<StoredSigningKey>;
  readonly clock: () => number;
  readonly newKid: () => string;
}

const rsaBits = 2048; // RFC 7518 §3.3: at least
const keysMax = 100; // nodes that start at once on an empty store each make one

/**
 * The RSA keys that push requests are signed with, in the store, so that they outlive the process and all nodes sign as
 * one. A node signs with the oldest key there is, and makes one when there is none. Nodes that do so at the same moment
 * may use different keys for their lifetime; every key of the store is published, so either verifies.
 */
export class OidcKeys {
  readonly #parts: Parts;
  #signing: Promise<SigningKey> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @throws PubSubError UNAVAILABLE the store cannot be asked. */
  signing(): Promise<SigningKey> {
    this.#signing ??= this.#load();
    this.#signing.catch(() => {
      this.#signing = undefined; // the next one asks again
    });
    return this.#signing;
  }

  /** What tokens are verified with. @throws PubSubError UNAVAILABLE the store cannot be asked. */
  async published(): Promise<JsonWebKeySet> {
    await this.signing(); // there is one before anybody can have a token
    return { keys: (await this.#stored()).map(publicJwk) };
  }

  async #load(): Promise<SigningKey> {
    const [oldest] = await this.#stored();
    if (oldest) return signingKey(oldest);
    await this.#make();
    const [first] = await this.#stored();
    return signingKey(first!);
  }

  async #make(): Promise<void> {
    const { table, clock, newKid } = this.#parts;
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: rsaBits });
    const kid = newKid();
    const created = String(clock()).padStart(15, '0'); // so that keys list by age
    const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    await table.put(`${created}-${kid}`, { kid, privateKeyPem });
  }

  async #stored(): Promise<StoredSigningKey[]> {
    const { items } = await this.#parts.table.list({ prefix: '', limit: keysMax });
    return items.map(({ value }) => value);
  }
}

function signingKey({ kid, privateKeyPem }: StoredSigningKey): SigningKey {
  return { kid, privateKey: createPrivateKey(privateKeyPem) };
}

function publicJwk({ kid, privateKeyPem }: StoredSigningKey): JsonWebKey {
  const jwk = createPublicKey(privateKeyPem).export({ format: 'jwk' });
  return { ...jwk, kid, alg: 'RS256', use: 'sig' };
}
