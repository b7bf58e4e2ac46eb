import { type Account, type Accounts, ApiTokens, type LoginOrigin, type Principal } from '@kalamdb/engine';
import { kalamError } from '@kalamdb/protocol';
import { claimedIssuer } from './claims.ts';
import type { OidcTokens } from './oidc-tokens.ts';
import type { ProviderUsers } from './provider-users.ts';
import type { TokenClaims, Tokens } from './tokens.ts';

const BEARER = 'Bearer ';

/** Who asks, and what that rests on: enough to ask again later whether it still holds. */
export interface Credential extends Principal {
  /** The API token that was shown; absent for tokens of a login. */
  readonly apiTokenId?: string | undefined;
}

/** The trusted issuers, and the users they vouch for. */
interface Providers {
  readonly tokens: OidcTokens;
  readonly users: ProviderUsers;
}

interface Vouching extends Providers {
  readonly issuer: string;
}

/** What authentication reads of the rest. */
export interface AuthenticatorSources {
  readonly tokens: Tokens;
  /** Dropped users are found too; they say when they were dropped. */
  readonly accounts: Pick<Accounts, 'find' | 'passwordFingerprint' | 'loggedInByProvider'>;
  readonly apiTokens: Pick<ApiTokens, 'check' | 'isValid'>;
  /** Tokens of other issuers; `undefined`: none is trusted. */
  readonly providers: Providers | undefined;
  readonly warn: (text: string, detail: object) => void;
}

/**
 * Turns what a request carries into a principal: a token of a login, an API token, or a token of a trusted issuer. The stored
 * user decides: a changed role or a dropped user ends a token at once.
 */
export class Authenticator {
  readonly #sources: AuthenticatorSources;

  constructor(sources: AuthenticatorSources) {
    this.#sources = sources;
  }

  /**
   * The check of data routes (wire-protocol 2.8): `Authorization: Bearer …`, spelled exactly so. Throws NO_TOKEN,
   * TOKEN_EXPIRED, TOKEN_REFUSED or ISSUER_UNREACHABLE; answers at once, without a promise, for a token that was seen before.
   */
  bearer(header: string | undefined): Credential | Promise<Credential> {
    if (header === undefined) throw kalamError('NO_TOKEN');
    const token = bearerToken(header);
    if (token === undefined) throw kalamError('TOKEN_REFUSED');
    return this.#known(token) ?? this.access(token);
  }

  /** Who shows an access token, an API token or a token of a trusted issuer. Throws as {@link bearer}, but for NO_TOKEN. */
  async access(token: string, origin: LoginOrigin = {}): Promise<Credential> {
    return this.#known(token) ?? credentialOf(await this.#account(token, origin));
  }

  /** The stored user of such a token. Throws as {@link access}. */
  async account(token: string): Promise<Account> {
    return ApiTokens.isForm(token) ? this.#active(this.#sources.apiTokens.check(token).userId) : this.#account(token, {});
  }

  /** As {@link account}, for what an API token is not good enough for: then SESSION_REQUIRED. */
  async session(token: string): Promise<Account> {
    if (!ApiTokens.isForm(token)) return this.#account(token, {});
    this.#sources.apiTokens.check(token);
    throw kalamError('SESSION_REQUIRED');
  }

  /**
   * The stored user of a refresh token; UNAUTHORIZED with the texts of wire-protocol 2.4. A token that was made before the
   * user's password was changed is refused.
   */
  async refresh(token: string): Promise<Account> {
    const claims = await this.#sources.tokens.read(token);
    if (claims.kind !== 'refresh') throw kalamError('UNAUTHORIZED', { reason: 'Refresh endpoint requires a refresh token' });
    const account = this.#sources.accounts.find(claims.userId);
    if (account === undefined || account.deletedAtMicros !== undefined)
      throw kalamError('UNAUTHORIZED', { reason: 'User no longer valid' });
    if (account.role !== claims.role) throw kalamError('UNAUTHORIZED', { reason: 'Token role does not match user role' });
    if (claims.passwordFingerprint !== this.#sources.accounts.passwordFingerprint(claims.userId)) {
      throw kalamError('UNAUTHORIZED', { reason: 'Invalid credentials' });
    }
    return account;
  }

  /** Whether a credential is still worth what it was: the user is there and has that role, the API token is not revoked. */
  isCurrent({ userId, role, apiTokenId }: Credential): boolean {
    const account = this.#sources.accounts.find(userId);
    if (account === undefined || account.deletedAtMicros !== undefined || account.role !== role) return false;
    return apiTokenId === undefined || this.#sources.apiTokens.isValid(apiTokenId);
  }

  /** At once, for a token that was seen before; `undefined`: it takes longer to find out. */
  #known(token: string): Credential | undefined {
    const { apiTokens, providers, tokens } = this.#sources;
    if (ApiTokens.isForm(token)) {
      const { tokenId, userId } = apiTokens.check(token);
      return { userId, role: this.#active(userId).role, apiTokenId: tokenId };
    }
    const claims = tokens.known(token);
    if (claims !== undefined) return credentialOf(this.#current(claims));
    const vouched = providers?.tokens.known(token);
    const account = vouched === undefined ? undefined : providers?.users.find(vouched);
    return account === undefined ? undefined : credentialOf(activeAccount(account));
  }

  async #account(token: string, origin: LoginOrigin): Promise<Account> {
    const { providers, tokens } = this.#sources;
    const issuer = providers === undefined ? undefined : claimedIssuer(token);
    if (providers !== undefined && issuer !== undefined && providers.tokens.trusts(issuer)) {
      return this.#vouched(token, origin, { ...providers, issuer });
    }
    return this.#current(await tokens.read(token));
  }

  async #vouched(token: string, origin: LoginOrigin, { tokens, users, issuer }: Vouching): Promise<Account> {
    const seen = tokens.known(token);
    const account = activeAccount(await users.findOrCreate(seen ?? (await tokens.read(token, issuer)), origin.address));
    if (seen !== undefined) return account;
    const { accounts, warn } = this.#sources;
    // Nobody waits for the time of the last login.
    accounts.loggedInByProvider(account.userId, origin).catch((error: unknown) => warn('a login could not be written down', { error }));
    return account;
  }

  #current(claims: TokenClaims): Account {
    const account = this.#active(claims.userId);
    if (claims.kind !== 'access' || account.role !== claims.role) throw kalamError('TOKEN_REFUSED');
    return account;
  }

  #active(userId: string): Account {
    return activeAccount(this.#sources.accounts.find(userId));
  }
}

function activeAccount(account: Account | undefined): Account {
  if (account === undefined || account.deletedAtMicros !== undefined) throw kalamError('TOKEN_REFUSED');
  return account;
}

function credentialOf({ userId, role }: Account): Credential {
  return { userId, role };
}

/** The token of an `Authorization` header; `undefined` when it is not a bearer header. */
export function bearerToken(header: string | undefined): string | undefined {
  return header?.startsWith(BEARER) === true ? header.slice(BEARER.length).trim() : undefined;
}
