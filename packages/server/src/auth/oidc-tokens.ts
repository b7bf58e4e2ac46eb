import { kalamError } from '@kalamdb/protocol';
import { checkTimes, parseClaims, type RawClaims, TOKEN_CHARACTERS_MAX, type TokenTimes, timesOf } from './claims.ts';
import { type IssuerEnvironment, IssuerKeys } from './issuer-keys.ts';
import { isSafeUrl } from './oidc-fetch.ts';

/** Our own name as an issuer; it may stand in the list and changes nothing there. */
const OWN_ISSUER = 'kalamdb';
/** Verified tokens that are remembered. */
const VERIFIED_MAX = 10_000;
/** A token is verified again after this time, so that a key that the issuer has withdrawn is good for no longer. */
const VERIFIED_MILLIS_MAX = 300_000;

/** Whom an issuer vouches for. */
export interface ProviderClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly email: string | undefined;
  /** What the configured claim calls the user; for making one. */
  readonly name: string | undefined;
}

/** Which tokens are accepted. */
export interface OidcSettings {
  /** URLs, exactly as the tokens spell them. */
  readonly issuers: readonly string[];
  /** What `aud` must name; empty: it is not checked. */
  readonly audience: string;
  /** The claim that names a user who is made at the first login. */
  readonly userClaim: string;
}

interface Verified extends TokenTimes {
  readonly claims: ProviderClaims;
  readonly untilMillis: number;
}

/** The issuers that are asked for keys: all but ourselves. Throws CONFIG_INVALID for one that must not be asked. */
export function foreignIssuers(issuers: readonly string[]): readonly string[] {
  const foreign = issuers.filter((issuer) => issuer !== OWN_ISSUER);
  const unsafe = foreign.find((issuer) => !isSafeUrl(issuer));
  if (unsafe === undefined) return foreign;
  const reason = `auth.jwt_trusted_issuers: '${unsafe}' must be an https URL (http only on this machine)`;
  throw kalamError('CONFIG_INVALID', { reason });
}

/** Reads tokens of trusted issuers of OpenID Connect. Whom they mean is not asked here. */
export class OidcTokens {
  readonly #settings: OidcSettings;
  readonly #environment: IssuerEnvironment;
  readonly #issuers: ReadonlyMap<string, IssuerKeys>;
  readonly #verified = new Map<string, Verified>();

  /** Throws CONFIG_INVALID for an issuer that must not be asked. */
  constructor(settings: OidcSettings, environment: IssuerEnvironment) {
    this.#settings = settings;
    this.#environment = environment;
    this.#issuers = new Map(foreignIssuers(settings.issuers).map((issuer) => [issuer, new IssuerKeys(issuer, environment)]));
  }

  /** The issuers that are trusted beside ourselves. */
  get issuers(): readonly string[] {
    return [...this.#issuers.keys()];
  }

  /** Whether tokens of an issuer are looked at. */
  trusts(issuer: string): boolean {
    return this.#issuers.has(issuer);
  }

  /** What a token says that was verified a short time ago, at once; `undefined` for any other. Throws as {@link read}. */
  known(text: string): ProviderClaims | undefined {
    const known = this.#verified.get(text);
    if (known === undefined) return undefined;
    const { clock } = this.#environment;
    if (known.untilMillis <= clock.elapsed()) {
      this.#verified.delete(text);
      return undefined;
    }
    checkTimes(known, this.#nowSeconds());
    return known.claims;
  }

  /**
   * Checks signature, issuer, audience and times; a token of anybody else causes no traffic. Throws TOKEN_EXPIRED,
   * TOKEN_REFUSED, ISSUER_UNREACHABLE.
   */
  async read(text: string, claimedIssuer: string): Promise<ProviderClaims> {
    const keys = this.#issuers.get(claimedIssuer);
    if (keys === undefined || text.length > TOKEN_CHARACTERS_MAX) throw kalamError('TOKEN_REFUSED');
    const raw = parseClaims(await keys.verify(text));
    const claims = this.#claimsOf(raw, claimedIssuer);
    const times = timesOf(raw);
    checkTimes(times, this.#nowSeconds());
    if (this.#verified.size >= VERIFIED_MAX) this.#forgetOldest();
    this.#verified.set(text, { ...times, claims, untilMillis: this.#environment.clock.elapsed() + VERIFIED_MILLIS_MAX });
    return claims;
  }

  #claimsOf(raw: RawClaims, issuer: string): ProviderClaims {
    const { audience, userClaim } = this.#settings;
    const subject = raw['sub'];
    if (raw['iss'] !== issuer || typeof subject !== 'string' || subject === '') throw kalamError('TOKEN_REFUSED');
    const audiences: readonly unknown[] = Array.isArray(raw['aud']) ? raw['aud'] : [raw['aud']];
    if (audience !== '' && !audiences.includes(audience)) throw kalamError('TOKEN_REFUSED');
    const email = raw['email_verified'] === false ? undefined : raw['email'];
    const name = raw[userClaim];
    // A name that is somebody's address is worth something only if the issuer has looked whose it is.
    const usable = typeof name === 'string' && (userClaim !== 'email' || raw['email_verified'] === true);
    return { issuer, subject, email: typeof email === 'string' ? email : undefined, name: usable ? name : undefined };
  }

  #forgetOldest(): void {
    const oldest = this.#verified.keys().next();
    if (oldest.done !== true) this.#verified.delete(oldest.value);
  }

  #nowSeconds(): number {
    return Math.floor(this.#environment.clock.now() / 1000);
  }
}
