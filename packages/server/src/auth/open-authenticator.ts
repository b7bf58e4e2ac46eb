import type { Database } from '@kalamdb/engine';
import type { ServerConfig } from '../config/settings.ts';
import { Authenticator } from './authenticator.ts';
import type { IssuerEnvironment } from './issuer-keys.ts';
import { OidcTokens } from './oidc-tokens.ts';
import { ProviderUsers } from './provider-users.ts';
import type { Tokens } from './tokens.ts';

interface AuthenticatorParts extends IssuerEnvironment {
  readonly config: ServerConfig;
  readonly database: Database;
  readonly tokens: Tokens;
}

/** The authenticator that the settings want. Throws CONFIG_INVALID for an issuer that must not be trusted. */
export function openAuthenticator(parts: AuthenticatorParts): Authenticator {
  const { config, database, tokens, log } = parts;
  const settings = {
    issuers: config['auth.jwt_trusted_issuers'],
    audience: config['auth.jwt_audience'],
    userClaim: config['auth.oidc_user_claim'],
  };
  const oidc = new OidcTokens(settings, parts);
  const { accounts, apiTokens, users } = database;
  const { issuers } = oidc;
  if (issuers.length > 0 && settings.audience === '') {
    log.warn('auth.jwt_audience is not set: tokens that the trusted issuers made for other applications are accepted too');
  }
  const newUserRole = config['auth.auto_create_users_from_provider'] ? config['auth.auto_create_role'] : undefined;
  const providers = issuers.length === 0 ? undefined : { tokens: oidc, users: new ProviderUsers({ users, issuers, newUserRole, log }) };
  return new Authenticator({ tokens, accounts, apiTokens, providers, warn: (text, detail) => log.warn(detail, text) });
}
