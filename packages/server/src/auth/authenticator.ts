import type { Account, Principal } from '@kalamdb/engine';
import { kalamError } from '@kalamdb/protocol';
import type { TokenClaims, Tokens } from './tokens.ts';

const BEARER = 'Bearer ';

/** The stored users, as far as authentication asks for them. */
export interface AccountDirectory {
  /** Dropped users are found too; they say when they were dropped. */
  find(userId: string): Account | undefined;
}

/** Turns what a request carries into a principal. The stored user decides: a changed role or a dropped user ends a token at once. */
export class Authenticator {
  readonly #tokens: Tokens;
  readonly #accounts: AccountDirectory;

  constructor(tokens: Tokens, accounts: AccountDirectory) {
    this.#tokens = tokens;
    this.#accounts = accounts;
  }

  /**
   * The check of data routes (wire-protocol 2.8): `Authorization: Bearer …`, spelled exactly so. Throws NO_TOKEN,
   * TOKEN_EXPIRED or TOKEN_REFUSED; answers at once, without a promise, for a token that was seen before.
   */
  bearer(header: string | undefined): Principal | Promise<Principal> {
    if (header === undefined) throw kalamError('NO_TOKEN');
    const token = bearerToken(header);
    if (token === undefined) throw kalamError('TOKEN_REFUSED');
    const claims = this.#tokens.known(token);
    if (claims === undefined) return this.access(token);
    const { userId, role } = this.#current(claims);
    return { userId, role };
  }

  /** The principal of an access token; TOKEN_EXPIRED or TOKEN_REFUSED. */
  async access(token: string): Promise<Principal> {
    const { userId, role } = await this.account(token);
    return { userId, role };
  }

  /** The stored user of an access token; TOKEN_EXPIRED or TOKEN_REFUSED. */
  async account(token: string): Promise<Account> {
    return this.#current(await this.#tokens.read(token));
  }

  #current(claims: TokenClaims): Account {
    const account = this.#accounts.find(claims.userId);
    if (claims.kind !== 'access' || account === undefined || account.deletedAtMicros !== undefined) throw kalamError('TOKEN_REFUSED');
    if (account.role !== claims.role) throw kalamError('TOKEN_REFUSED');
    return account;
  }

  /** The stored user of a refresh token; UNAUTHORIZED with the texts of wire-protocol 2.4. */
  async refresh(token: string): Promise<Account> {
    const claims = await this.#tokens.read(token);
    if (claims.kind !== 'refresh') throw kalamError('UNAUTHORIZED', { reason: 'Refresh endpoint requires a refresh token' });
    const account = this.#accounts.find(claims.userId);
    if (account === undefined || account.deletedAtMicros !== undefined)
      throw kalamError('UNAUTHORIZED', { reason: 'User no longer valid' });
    if (account.role !== claims.role) throw kalamError('UNAUTHORIZED', { reason: 'Token role does not match user role' });
    return account;
  }

  /** Whether a principal is still what the stored user is. */
  isCurrent(principal: Principal): boolean {
    const account = this.#accounts.find(principal.userId);
    return account !== undefined && account.deletedAtMicros === undefined && account.role === principal.role;
  }
}

/** The token of an `Authorization` header; `undefined` when it is not a bearer header. */
export function bearerToken(header: string | undefined): string | undefined {
  return header?.startsWith(BEARER) === true ? header.slice(BEARER.length).trim() : undefined;
}
