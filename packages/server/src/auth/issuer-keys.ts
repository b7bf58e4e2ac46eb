import { type Clock, KalamError, kalamError, type Timers } from '@kalamdb/protocol';
import { type CompactVerifyGetKey, compactVerify, createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import type { Logger } from 'pino';
import { fetchJson, isSafeUrl } from './oidc-fetch.ts';

/** Signatures of issuers: none that a shared secret could make, so that no public key is ever taken for one. */
const ALGORITHMS: readonly string[] = ['RS256', 'PS256', 'ES256'];
/** Keys older than this are fetched again, in the background while they are still good. */
const FRESH_MILLIS = 300_000;
/** Keys that could not be fetched again are used for so long. */
const STALE_MILLIS_MAX = 86_400_000;
/** After a fetch, whatever it was for, the next one waits so long: tokens with invented key ids cause no traffic. */
const REFETCH_PAUSE_MILLIS = 30_000;
/** After a fetch that failed, when there are no keys at all. */
const RETRY_PAUSE_MILLIS = 3000;
const KEYS_MAX = 100;

/** What an issuer's keys need of the server. */
export interface IssuerEnvironment {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
}

interface Fetched {
  readonly find: CompactVerifyGetKey;
  readonly atMillis: number;
}

/**
 * The public keys of one issuer of OpenID Connect, found by discovery and fetched when they are first needed. At most one
 * fetch at a time and one in 30 s (3 s while there are no keys); everybody who needs the keys waits for the same one.
 */
export class IssuerKeys {
  readonly #issuer: string;
  readonly #environment: IssuerEnvironment;
  #keys: Fetched | undefined;
  #fetching: Promise<Fetched> | undefined;
  #triedAtMillis = Number.NEGATIVE_INFINITY;

  constructor(issuer: string, environment: IssuerEnvironment) {
    this.#issuer = issuer;
    this.#environment = environment;
  }

  /** The payload of a token that one of the keys has signed. Throws TOKEN_REFUSED and ISSUER_UNREACHABLE. */
  async verify(token: string): Promise<Uint8Array> {
    const keys = await this.#current();
    const payload = await verified(token, keys.find);
    if (payload !== undefined) return payload;
    // The issuer may have a new key.
    const newer = await this.#newerThan(keys);
    const found = newer === undefined ? undefined : await verified(token, newer.find);
    if (found === undefined) throw kalamError('TOKEN_REFUSED');
    return found;
  }

  async #current(): Promise<Fetched> {
    const keys = this.#keys;
    const age = keys === undefined ? Number.POSITIVE_INFINITY : this.#now() - keys.atMillis;
    if (keys === undefined || age > STALE_MILLIS_MAX) return this.#fetch(RETRY_PAUSE_MILLIS);
    // What goes wrong in the background has been logged; the keys at hand are still good.
    if (age > FRESH_MILLIS) this.#fetch(REFETCH_PAUSE_MILLIS).catch(() => undefined);
    return keys;
  }

  async #newerThan(keys: Fetched): Promise<Fetched | undefined> {
    if (this.#keys !== keys) return this.#keys;
    try {
      return await this.#fetch(REFETCH_PAUSE_MILLIS);
    } catch (error) {
      if (error instanceof KalamError && error.code === 'ISSUER_UNREACHABLE') return undefined;
      throw error;
    }
  }

  #fetch(pauseMillis: number): Promise<Fetched> {
    if (this.#fetching !== undefined) return this.#fetching;
    const now = this.#now();
    if (now - this.#triedAtMillis < pauseMillis) return Promise.reject(kalamError('ISSUER_UNREACHABLE'));
    this.#triedAtMillis = now;
    const fetching = this.#discover().finally(() => {
      this.#fetching = undefined;
    });
    this.#fetching = fetching;
    return fetching;
  }

  async #discover(): Promise<Fetched> {
    const { log, timers } = this.#environment;
    try {
      const base = this.#issuer.endsWith('/') ? this.#issuer.slice(0, -1) : this.#issuer;
      const metadata: { readonly issuer?: unknown; readonly jwks_uri?: unknown } = await fetchJson(
        `${base}/.well-known/openid-configuration`,
        timers,
      );
      const { issuer, jwks_uri: keysUrl } = metadata;
      if (issuer !== this.#issuer) throw unusable(`it calls itself ${JSON.stringify(issuer)}`);
      if (typeof keysUrl !== 'string' || !isSafeUrl(keysUrl)) throw unusable('its key set is at no address that may be asked');
      if (keysUrl.startsWith('http:') && !this.#issuer.startsWith('http:')) throw unusable('its key set is not served by https');
      const found: { readonly keys?: unknown } = await fetchJson(keysUrl, timers);
      if (!Array.isArray(found.keys) || found.keys.length > KEYS_MAX) throw unusable('its key set has no list of at most 100 keys');
      this.#keys = { find: createLocalJWKSet(found as JSONWebKeySet), atMillis: this.#now() };
      return this.#keys;
    } catch (error) {
      log.warn({ err: error, issuer: this.#issuer }, 'the keys of an issuer of tokens could not be fetched');
      if (error instanceof KalamError) throw error;
      throw kalamError('ISSUER_UNREACHABLE', {}, { cause: error });
    }
  }

  #now(): number {
    return this.#environment.clock.elapsed();
  }
}

/** The payload; `undefined` when none of the keys is the token's. */
async function verified(token: string, find: CompactVerifyGetKey): Promise<Uint8Array | undefined> {
  try {
    return (await compactVerify(token, find, { algorithms: [...ALGORITHMS] })).payload;
  } catch (cause) {
    if (cause instanceof errors.JWKSNoMatchingKey) return undefined;
    throw kalamError('TOKEN_REFUSED', {}, { cause });
  }
}

function unusable(reason: string): Error {
  return kalamError('ISSUER_UNREACHABLE', {}, { cause: new Error(reason) });
}
