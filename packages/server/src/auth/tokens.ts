import type { Role } from '@kalamdb/engine';
import { type Clock, kalamError } from '@kalamdb/protocol';
import { type CryptoKey, compactVerify, SignJWT } from 'jose';
import { checkTimes, parseClaims, TOKEN_CHARACTERS_MAX, timesOf } from './claims.ts';

/** Who makes our own tokens. */
const ISSUER = 'kalamdb';
/** A refresh token lives this many times as long as an access token. */
const REFRESH_LIFE_FACTOR = 7;
/** Verified signatures that are remembered, so that a request costs a map look-up and not a trip through the crypto pool. */
const VERIFIED_MAX = 10_000;

/** What a token is good for: requests, or only for getting new tokens. */
export type TokenKind = 'access' | 'refresh';

/** What a valid token of ours says. */
export interface TokenClaims {
  readonly userId: string;
  readonly role: string;
  /** `undefined` when the token does not say; such a token is good for nothing. */
  readonly kind: TokenKind | undefined;
  /** Of the password the user had when a refresh token was made; `undefined` in access tokens. */
  readonly passwordFingerprint: string | undefined;
  readonly expiresAtSeconds: number;
}

/** A token that was made. */
export interface IssuedToken {
  readonly text: string;
  readonly expiresAtSeconds: number;
}

/** The user a token is made for. */
export interface TokenSubject {
  readonly userId: string;
  readonly role: Role;
  readonly email: string | undefined;
  /** Of the password the user has now; refresh tokens carry it. */
  readonly passwordFingerprint?: string | undefined;
}

interface VerifiedClaims {
  readonly claims: TokenClaims;
  readonly notBeforeSeconds: number;
}

/**
 * Makes and reads the server's tokens: JWT, HS256, with the claims of wire-protocol 2.2. Whether the user still exists
 * and still has the role is not asked here.
 */
export class Tokens {
  readonly #key: CryptoKey;
  readonly #clock: Clock;
  readonly #expirySeconds: number;
  readonly #verified = new Map<string, VerifiedClaims>();

  private constructor(key: CryptoKey, clock: Clock, expirySeconds: number) {
    this.#key = key;
    this.#clock = clock;
    this.#expirySeconds = expirySeconds;
  }

  /** Takes the secret; whoever knows it can make tokens. */
  static async open(options: { readonly secret: Uint8Array; readonly clock: Clock; readonly expiryHours: number }): Promise<Tokens> {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const key = await globalThis.crypto.subtle.importKey('raw', Uint8Array.from(options.secret), algorithm, false, ['sign', 'verify']);
    return new Tokens(key, options.clock, options.expiryHours * 3600);
  }

  /** Makes a token for a user as stored now. */
  async issue(subject: TokenSubject, kind: TokenKind): Promise<IssuedToken> {
    const issuedAt = this.#now();
    const expiresAtSeconds = issuedAt + this.#expirySeconds * (kind === 'refresh' ? REFRESH_LIFE_FACTOR : 1);
    const password = kind === 'refresh' ? { password: subject.passwordFingerprint } : {};
    const text = await new SignJWT({ email: subject.email ?? null, role: subject.role, token_type: kind, ...password })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(subject.userId)
      .setIssuer(ISSUER)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAtSeconds)
      .sign(this.#key);
    return { text, expiresAtSeconds };
  }

  /**
   * Checks signature, issuer and times. Throws TOKEN_EXPIRED for a genuine token whose time is over (clients refresh on
   * exactly this code) and TOKEN_REFUSED for everything else that is wrong.
   */
  async read(text: string): Promise<TokenClaims> {
    return this.known(text) ?? this.#inTime(text, await this.#verify(text));
  }

  /** As {@link read}, at once, for a token that was verified before; `undefined` for any other. */
  known(text: string): TokenClaims | undefined {
    const known = this.#verified.get(text);
    return known === undefined ? undefined : this.#inTime(text, known);
  }

  #inTime(text: string, known: VerifiedClaims): TokenClaims {
    const { claims, notBeforeSeconds } = known;
    try {
      checkTimes({ expiresAtSeconds: claims.expiresAtSeconds, notBeforeSeconds }, this.#now());
    } catch (error) {
      this.#verified.delete(text);
      throw error;
    }
    return claims;
  }

  async #verify(text: string): Promise<VerifiedClaims> {
    if (text === '' || text.length > TOKEN_CHARACTERS_MAX) throw kalamError('TOKEN_REFUSED');
    let payload: Uint8Array;
    try {
      ({ payload } = await compactVerify(text, this.#key, { algorithms: ['HS256'] }));
    } catch (cause) {
      throw kalamError('TOKEN_REFUSED', {}, { cause });
    }
    const verified = readClaims(payload);
    if (this.#verified.size >= VERIFIED_MAX) this.#forgetOldest();
    this.#verified.set(text, verified);
    return verified;
  }

  #forgetOldest(): void {
    const oldest = this.#verified.keys().next();
    if (oldest.done !== true) this.#verified.delete(oldest.value);
  }

  #now(): number {
    return Math.floor(this.#clock.now() / 1000);
  }
}

/** The claims of a payload whose signature was right. */
function readClaims(payload: Uint8Array): VerifiedClaims {
  const claims = parseClaims(payload);
  const { expiresAtSeconds, notBeforeSeconds } = timesOf(claims);
  const { sub, iss, role, token_type: kind, password } = claims as Readonly<Partial<Record<ClaimName, unknown>>>;
  if (iss !== ISSUER || typeof sub !== 'string' || sub === '' || typeof role !== 'string') throw kalamError('TOKEN_REFUSED');
  const passwordFingerprint = typeof password === 'string' ? password : undefined;
  const known = kind === 'access' || kind === 'refresh' ? kind : undefined;
  return { claims: { userId: sub, role, kind: known, passwordFingerprint, expiresAtSeconds }, notBeforeSeconds };
}

type ClaimName = 'sub' | 'iss' | 'role' | 'token_type' | 'password';
