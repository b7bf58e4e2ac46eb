import type { Account, Role, Users } from '@kalamdb/engine';
import { KalamError, kalamError } from '@kalamdb/protocol';
import type { Logger } from 'pino';
import type { ProviderClaims } from './oidc-tokens.ts';

/** Users that may be in the making at a time. */
const CREATING_MAX = 1000;

/** Ids of providers (catalog B4) whose issuer can be told from its address. */
const PROVIDER_HOSTS: readonly (readonly [host: RegExp, id: string])[] = [
  [/^accounts\.google\.com$/, 'google'],
  [/^securetoken\.google\.com$/, 'firebase'],
  [/^(login\.microsoftonline\.com|sts\.windows\.net)$/, 'azure_ad'],
  [/^cognito-idp\.[a-z0-9-]+\.amazonaws\.com$/, 'cognito'],
  [/^appleid\.apple\.com$/, 'apple'],
  [/^gitlab\.com$/, 'gitlab'],
  [/(^|\.)facebook\.com$/, 'facebook'],
  [/\.auth0\.com$/, 'auth0'],
  [/\.okta\.com$/, 'okta'],
  [/\.onelogin\.com$/, 'onelogin'],
  [/\.supabase\.co$/, 'supabase'],
  [/\.clerk\.accounts\.dev$/, 'clerk'],
];

/** Who may be made. */
export interface ProviderUsersOptions {
  readonly users: Pick<Users, 'byIdentity' | 'create'>;
  readonly issuers: readonly string[];
  /** The role of users that are made at their first login; `undefined`: none are made. */
  readonly newUserRole: Role | undefined;
  readonly log: Logger;
}

/**
 * The users whom trusted issuers vouch for: auth type OAuth, with the issuer's URL as provider, or with the id of a provider
 * whose only trusted issuer it is. (Of two issuers of one provider each could name subjects of the other's users.)
 */
export class ProviderUsers {
  readonly #options: ProviderUsersOptions;
  readonly #providers: ReadonlyMap<string, readonly string[]>;
  readonly #creating = new Map<string, Promise<Account>>();

  constructor(options: ProviderUsersOptions) {
    this.#options = options;
    const ids = options.issuers.map(providerId);
    this.#providers = new Map(
      options.issuers.map((issuer, index) => {
        const id = ids[index];
        return [issuer, id !== undefined && ids.indexOf(id) === ids.lastIndexOf(id) ? [issuer, id] : [issuer]];
      }),
    );
  }

  /** The user, dropped or not; `undefined` when there is none. */
  find({ issuer, subject }: ProviderClaims): Account | undefined {
    for (const provider of this.#providers.get(issuer) ?? []) {
      const account = this.#options.users.byIdentity({ provider, subject });
      if (account !== undefined) return account;
    }
    return undefined;
  }

  /** The user; made now if that is wanted and there is none. Throws TOKEN_REFUSED when there is none then. */
  async findOrCreate(claims: ProviderClaims, address: string | undefined): Promise<Account> {
    const found = this.find(claims);
    if (found !== undefined) return found;
    const { newUserRole } = this.#options;
    if (newUserRole === undefined || claims.name === undefined || this.#creating.size >= CREATING_MAX) throw kalamError('TOKEN_REFUSED');
    const key = JSON.stringify([claims.issuer, claims.subject]);
    const creating = this.#creating.get(key) ?? this.#create(claims, newUserRole, address).finally(() => this.#creating.delete(key));
    this.#creating.set(key, creating);
    return creating;
  }

  async #create({ issuer, subject, email, name = '' }: ProviderClaims, role: Role, address: string | undefined): Promise<Account> {
    const { users, log } = this.#options;
    const identity = { provider: issuer, providerType: providerId(issuer) ?? 'custom', subject };
    try {
      return await users.create(
        { userId: name, role, authType: 'OAuth', password: undefined, identity, email },
        { userId: name, role, address },
      );
    } catch (cause) {
      if (!(cause instanceof KalamError) || cause.spec.status >= 500) throw cause;
      log.debug({ err: cause, issuer }, 'a user of an issuer could not be made');
      throw kalamError('TOKEN_REFUSED', {}, { cause });
    }
  }
}

function providerId(issuer: string): string | undefined {
  const host = URL.canParse(issuer) ? new URL(issuer).hostname : '';
  return PROVIDER_HOSTS.find(([pattern]) => pattern.test(host))?.[1] ?? (/\/realms\/[^/]+\/?$/.test(issuer) ? 'keycloak' : undefined);
}
